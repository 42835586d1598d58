"""What each command of the command line does: call a room, show what came back.

Every function returns the exit code of the command. Rooms are imported where they are
used: `inspect` of a file does not wait for phonopy.
"""
