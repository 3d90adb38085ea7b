//! Keys in the network: pools, relay over trusted nodes, routing, demands.
