// Compiled once for its precompiled header; see TransXSSMCompiler.cmake.
