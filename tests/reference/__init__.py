"""Slow and simple stand-ins to test against; they share no code with hexsched but its data types."""

from reference.instances import instances, random_instance
from reference.serial import serial_schedule
from reference.tokens import replay_tokens

__all__ = ["instances", "random_instance", "replay_tokens", "serial_schedule"]
