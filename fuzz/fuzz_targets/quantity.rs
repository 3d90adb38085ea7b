//! Every physical quantity, from arbitrary text.
//!
//! A text is read as each kind of quantity: it is refused with a message, or what is read is finite, is
//! printed and is read again.
#![no_main]

use bellwether_network::Size;
use bellwether_units::{
    Angle, Current, Duration, Frequency, Length, Loss, LossPerLength, Power, Quantity, RamanCoefficient,
    Rate, Time, Wavelength,
};
use core::fmt::Display;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let text = &text[..text.floor_char_boundary(256)];
    both_ways::<Angle>(text);
    both_ways::<Current>(text);
    both_ways::<Duration>(text);
    both_ways::<Frequency>(text);
    both_ways::<Length>(text);
    both_ways::<Loss>(text);
    both_ways::<LossPerLength>(text);
    both_ways::<Power>(text);
    both_ways::<RamanCoefficient>(text);
    both_ways::<Rate>(text);
    both_ways::<Size>(text);
    both_ways::<Wavelength>(text);
    if let Ok(duration) = Duration::parse(text) {
        assert!(duration.seconds().is_finite());
        let _ = Time::ZERO.saturating_add(duration);
    }
});

fn both_ways<Q: Quantity + Display>(text: &str) {
    match Q::parse(text) {
        Ok(quantity) => {
            let printed = quantity.to_string();
            // Rounding to 12 digits may carry a value over the edge of what the quantity can be, so what is
            // printed is not always read; but never is it anything but a number with a known unit.
            if let Err(error) = Q::parse(&printed) {
                let at_the_edge = matches!(error, bellwether_units::QuantityError::OutOfRange { .. });
                assert!(at_the_edge, "`{text}` is printed as `{printed}`: {error}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
