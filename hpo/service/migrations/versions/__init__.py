"""The scripts, named by their version; a new one names its predecessor as `down_revision`."""
