"""Stands in for the module that the Agent's Python runtime builds in.

`config` holds what `get_config` knows: like the Agent's, it answers None for a key that is not set.
"""

config = {}
version = '7.77.0'
hostname = 'web-1'


def get_config(key):
    return config.get(key)


def get_version():
    return version


def get_hostname():
    return hostname
