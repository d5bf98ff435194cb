"""All that needs numba, which takes half a second to load: imported when an entry is first called, and not before.

``dispatchers`` make of a kernel what numba compiles; ``digest`` says whether what lies in the cache, ``machine_code``,
is still that; ``inlining`` and ``addresses`` are how compiling takes seconds and not minutes; ``clock`` is the one
thing that kernels ask the system for.
"""
