"""What a policy is made of: ``option``, ``order``, ``placement``, and the ``settings`` that compiled code reads."""
