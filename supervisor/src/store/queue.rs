//! A queue with a bound that takes room only for what waits in it.
//!
//! The bounded channel of the standard library lays out all its places when it is made: more
//! than 100 KB for thousands of them, of which hardly any is ever used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError, TrySendError};
use std::time::Duration;

/// Makes a queue in which so many may wait.
pub(super) fn queue<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = Sender {
        sender,
        waiting: Arc::clone(&waiting),
        bound,
    };
    (sender, Receiver { receiver, waiting })
}

/// The end that many have.
#[derive(Debug)]
pub(super) struct Sender<T> {
    sender: mpsc::Sender<T>,
    waiting: Arc<AtomicUsize>,
    bound: usize,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            waiting: Arc::clone(&self.waiting),
            bound: self.bound,
        }
    }
}

impl<T> Sender<T> {
    /// Puts it into the queue if there is room.
    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.bound {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(TrySendError::Full(value));
        }
        let sent = self.sender.send(value);
        sent.map_err(|mpsc::SendError(value)| TrySendError::Disconnected(value))
    }

    /// Puts it into the queue, also where that is full: for the last of all.
    pub(super) fn send_beyond(&self, value: T) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Nobody receives any more, and so nobody has to be told to end.
        let _ = self.sender.send(value);
    }
}

/// The end that one has.
#[derive(Debug)]
pub(super) struct Receiver<T> {
    receiver: mpsc::Receiver<T>,
    waiting: Arc<AtomicUsize>,
}

impl<T> Receiver<T> {
    fn taken(&self, value: T) -> T {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        value
    }

    /// Waits for the next; at most so long, if there is a limit.
    pub(super) fn recv(&self, limit: Option<Duration>) -> Result<T, RecvTimeoutError> {
        let received = match limit {
            Some(limit) => self.receiver.recv_timeout(limit),
            None => self
                .receiver
                .recv()
                .map_err(|RecvError| RecvTimeoutError::Disconnected),
        };
        received.map(|value| self.taken(value))
    }

    /// The next, if it is there.
    pub(super) fn try_recv(&self) -> Option<T> {
        self.receiver.try_recv().ok().map(|value| self.taken(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_wait_and_no_more_but_the_last() {
        let (sender, receiver) = queue(2);
        let other = sender.clone();
        assert_eq!((sender.try_send(1), other.try_send(2)), (Ok(()), Ok(())));
        assert_eq!(other.try_send(3), Err(TrySendError::Full(3)));
        sender.send_beyond(4);
        let mut taken = vec![receiver.recv(None), receiver.recv(Some(Duration::ZERO))];
        assert_eq!(sender.try_send(5), Ok(()));
        taken.extend(
            [receiver.try_recv(), receiver.try_recv()]
                .map(|one| one.ok_or(RecvTimeoutError::Timeout)),
        );
        assert_eq!(taken, [1, 2, 4, 5].map(Ok));
        assert_eq!(receiver.try_recv(), None);
        assert_eq!(
            receiver.recv(Some(Duration::ZERO)),
            Err(RecvTimeoutError::Timeout)
        );
        drop(receiver);
        assert_eq!(sender.try_send(6), Err(TrySendError::Disconnected(6)));
        drop((sender, other));
        let (sender, receiver) = queue::<i32>(1);
        drop(sender);
        assert_eq!(receiver.recv(None), Err(RecvTimeoutError::Disconnected));
    }
}
