//! Simulations by the thousand, and the faults that have a name.

mod seeds;
