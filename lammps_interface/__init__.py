"""From a potential to a running LAMMPS: conversion, pair style, launcher."""
