//! Alarms: what was seen on a link that calibration did not expect.
