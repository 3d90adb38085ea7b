//! Both ends of a link together: schedules of faults, tampering, and what distillation costs.

mod faults;
mod light;
mod pair;
