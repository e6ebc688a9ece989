"""What commands and supervisor share: the installation on this machine, its keys, directory and running API."""
