"""DYNAMIXEL motors: the wire protocol; tables, bus and driver will stand beside it."""
