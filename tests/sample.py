"""The locker of the vendor's example and a share code, for every test that needs one."""

LOCKER = 45961123
IDENTIFIER = str(LOCKER)  # as it is typed and as it stands in topics
CODE = "Zmo1sps2OVyCFtl1"
