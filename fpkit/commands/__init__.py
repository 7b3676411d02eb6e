"""The commands of `fpkit`, one module a family; each has `add(commands)` and imports what it needs when it
runs."""
