//! The referee's orders.

use std::thread;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::words::Order;

/// Orders as they come. They end with the referee, however that ends.
pub(super) fn listen() -> UnboundedReceiver<Order> {
    let (orders, received) = mpsc::unbounded_channel();
    // A thread of its own: tokio's standard input would keep the process from ending.
    thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for order in lines.filter_map(|line| Order::read(&line)) {
            if orders.send(order).is_err() {
                break;
            }
        }
    });
    received
}
