"""What `fetlock doctor` checks: one function a finding."""
