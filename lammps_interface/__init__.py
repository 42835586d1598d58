"""From a potential to a running LAMMPS: conversion, the pair style, and its launcher."""
