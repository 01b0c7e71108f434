//! RoomKept: nothing is appended beyond the room that the host told ahead: no write may find the
//! disk full (scenario G08).

use super::{Check, LifeId, Property, broken};

/// `life` appends `bytes` where there is room for `room`.
pub(crate) fn appends(life: LifeId, bytes: u64, room: u64) -> Check {
    if bytes <= room {
        return Ok(());
    }
    broken(
        Property::RoomKept,
        format_args!("{life} appends {bytes} bytes where there is room for {room}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{life, must_fire};

    #[test]
    fn fires_when_more_is_appended_than_there_is_room_for() {
        assert!(appends(life(1), 64, 64).is_ok());
        must_fire(Property::RoomKept, appends(life(1), 65, 64));
    }
}
