"""Suites: named selections of cases with a policy, one TOML file each."""
