//! The Network Virtual Terminal: RFC 854, RFC 855 and the options beside them. Nothing here does I/O.
