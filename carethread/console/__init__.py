"""The staff web application: log in, see what waits, read a thread, answer, hand back."""

from carethread.console.blueprint import blueprint
from carethread.console.people import StaffRefused, create_staff, ensure_demo_staff

__all__ = ["StaffRefused", "blueprint", "create_staff", "ensure_demo_staff"]
