//! The requests of one connection that are executed together: what was read from the socket in
//! one go, up to a limit. Their operations become one batch; what needs no batch keeps its place
//! among the answers.

use bytes::BytesMut;

use crate::codec;
use crate::command::{self, Command, CommandError, Local};
use crate::op::Op;
use crate::resp::{Decoder, ProtocolError, Reply};

/// Requests in one burst, at most.
const REQUESTS_MAX: usize = 1024;
/// Bytes of operations after which a burst is closed. Large enough for one write to carry many
/// commands, small enough that one pipeline does not hold up the others.
const BYTES_ENOUGH: usize = 1024 * 1024;

/// The largest operation, in bytes.
pub(crate) const OP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest entry, in bytes: a burst that was just not enough and the largest operation.
pub(crate) const ENTRY_BYTES_MAX: usize = OP_BYTES_MAX + BYTES_ENOUGH;

/// Requests to be executed together.
#[derive(Debug)]
pub(crate) struct Burst {
    /// One place for each request, in order.
    pub(crate) slots: Vec<Slot>,
    /// The operations of the [`Slot::Op`]s, in order.
    pub(crate) ops: Vec<Op>,
    /// Why it ends here.
    pub(crate) end: BurstEnd,
}

/// One request of a burst.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The next operation.
    Op,
    /// A command that the connection answers.
    Local(Local),
    /// Not a command; this is its answer.
    Refused(Reply),
}

/// Why a burst ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BurstEnd {
    /// There is no further complete request.
    Starved,
    /// It is large enough; there may be more.
    Full,
    /// What follows is not the protocol.
    Broken(ProtocolError),
}

impl Burst {
    /// Takes requests out of `input`.
    pub(crate) fn take(decoder: &mut Decoder, input: &mut BytesMut) -> Self {
        let mut burst = Self {
            slots: Vec::new(),
            ops: Vec::new(),
            end: BurstEnd::Full,
        };
        let mut op_bytes = codec::BATCH_OVERHEAD_BYTES;
        while burst.slots.len() < REQUESTS_MAX && op_bytes < BYTES_ENOUGH {
            let request = match decoder.next(input) {
                Ok(Some(request)) => request,
                Ok(None) => {
                    burst.end = BurstEnd::Starved;
                    break;
                }
                Err(error) => {
                    burst.end = BurstEnd::Broken(error);
                    break;
                }
            };
            let slot = match command::parse(&request) {
                Ok(Command::Local(local)) => Slot::Local(local),
                Err(error) => Slot::Refused(error.into()),
                Ok(Command::Op(op)) => {
                    let bytes = codec::size_bound(&op);
                    if bytes > OP_BYTES_MAX {
                        let error = CommandError::TooLarge {
                            limit_bytes: OP_BYTES_MAX,
                        };
                        Slot::Refused(error.into())
                    } else {
                        op_bytes += bytes;
                        burst.ops.push(op);
                        Slot::Op
                    }
                }
            };
            let has_quit = matches!(slot, Slot::Local(Local::Quit));
            burst.slots.push(slot);
            if has_quit {
                // The client wants nothing of what it sent behind it.
                break;
            }
        }
        burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Batch;
    use crate::resp::Limits;

    const LIMITS: Limits = Limits {
        bulk_bytes: 16 << 20,
        request_bytes: 32 << 20,
    };

    fn set(value_bytes: usize) -> Vec<u8> {
        let value = vec![b'v'; value_bytes];
        let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${value_bytes}\r\n");
        [head.as_bytes(), &value, b"\r\n"].concat()
    }

    fn bursts(bytes: &[u8]) -> Vec<Burst> {
        let (mut decoder, mut input) = (Decoder::new(LIMITS), BytesMut::from(bytes));
        let mut bursts = Vec::new();
        loop {
            bursts.push(Burst::take(&mut decoder, &mut input));
            if bursts
                .last()
                .is_some_and(|burst| burst.end != BurstEnd::Full)
            {
                return bursts;
            }
        }
    }

    #[test]
    fn requests_keep_their_places() {
        let bursts = bursts(b"PING\r\nGET a\r\nWHAT\r\nGET b\r\nGET");
        let [burst] = bursts.as_slice() else {
            panic!("{bursts:?}")
        };
        let places: Vec<bool> = burst.slots.iter().map(|slot| *slot == Slot::Op).collect();
        assert_eq!(
            places,
            [false, true, false, true],
            "answers would be swapped"
        );
        assert_eq!(burst.ops.len(), 2);
        assert_eq!(
            burst.end,
            BurstEnd::Starved,
            "the last command is not complete"
        );
    }

    #[test]
    fn requests_before_a_broken_one_are_still_taken() {
        let bursts = bursts(b"GET a\r\n*1\r\n:1\r\n");
        let [burst] = bursts.as_slice() else {
            panic!("{bursts:?}")
        };
        assert_eq!(burst.ops.len(), 1);
        assert_eq!(
            burst.end,
            BurstEnd::Broken(ProtocolError::ExpectedBulk(b':'))
        );
    }

    #[test]
    fn long_pipeline_is_split_by_count() {
        let sizes: Vec<usize> = bursts(&b"PING\r\n".repeat(2500))
            .iter()
            .map(|burst| burst.slots.len())
            .collect();
        assert_eq!(sizes, [REQUESTS_MAX, REQUESTS_MAX, 2500 - 2 * REQUESTS_MAX]);
    }

    #[test]
    fn every_burst_fits_into_an_entry() {
        let almost_enough = BYTES_ENOUGH - 200;
        let largest = OP_BYTES_MAX - 100;
        let bytes = [set(almost_enough), set(largest), set(10)].concat();
        let bursts = bursts(&bytes);
        assert_eq!(bursts.len(), 2);
        for burst in bursts {
            let entry = codec::encode(&Batch::new(burst.ops));
            assert!(
                entry.len() <= ENTRY_BYTES_MAX,
                "no leader would take the entry"
            );
        }
    }

    #[test]
    fn command_is_refused_when_it_cannot_fit_into_an_entry() {
        let bytes = [set(OP_BYTES_MAX), b"GET k\r\n".to_vec()].concat();
        let bursts = bursts(&bytes);
        let [burst] = bursts.as_slice() else {
            panic!("{bursts:?}")
        };
        let error = Reply::Error("ERR command exceeds 8388608 bytes".into());
        assert_eq!(
            burst.slots,
            [Slot::Refused(error), Slot::Op],
            "the next one is fine"
        );
        assert!(matches!(burst.ops.as_slice(), [Op::Read(_)]));
    }
}
