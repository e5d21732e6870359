//! Which server of a cluster owns which slot.

use redis::Value;
use redis::cluster_routing::Slot;

/// Slots of every Redis Cluster.
pub const SLOTS: u16 = 16_384;

/// Host and port, as the cluster names a node.
pub type Address = (String, u16);

/// The primaries and what each owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotMap {
    primaries: Vec<Address>,
    /// Per slot the number of its primary among them, from 1; 0 where nobody owns it.
    owners: Vec<u16>,
}

impl SlotMap {
    /// Reads the answer of `CLUSTER SLOTS` of the node at `asked`; nothing where it is not one.
    pub fn read(answer: &Value, asked: &str) -> Option<Self> {
        let mut map = Self { primaries: Vec::new(), owners: vec![0; usize::from(SLOTS)] };
        let Value::Array(ranges) = answer else { return None };
        for range in ranges {
            let Value::Array(range) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = range.as_slice() else {
                return None;
            };
            let [host, Value::Int(port), ..] = primary.as_slice() else { return None };
            // A node that does not know its own address leaves it to the one who reached it.
            let host = match host {
                Value::BulkString(host) if !host.is_empty() => String::from_utf8_lossy(host).into_owned(),
                Value::SimpleString(host) if !host.is_empty() => host.clone(),
                _ => asked.to_owned(),
            };
            let number = map.number((host, u16::try_from(*port).ok()?));
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            map.owners.get_mut(first..=last)?.fill(number);
        }
        Some(map)
    }

    fn number(&mut self, address: Address) -> u16 {
        let place = self.primaries.iter().position(|known| *known == address).unwrap_or_else(|| {
            self.primaries.push(address);
            self.primaries.len() - 1
        });
        place as u16 + 1
    }

    pub fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    pub fn owner(&self, slot: u16) -> Option<&Address> {
        let number = self.owners.get(usize::from(slot))?.checked_sub(1)?;
        self.primaries.get(usize::from(number))
    }

    /// Whether every slot is somebody's.
    pub fn is_complete(&self) -> bool {
        !self.owners.is_empty() && !self.owners.contains(&0)
    }
}

/// The slot of a key or channel.
pub fn slot_of(key: &[u8]) -> u16 {
    // The client library keeps the number to itself; its hash is CRC-16/XMODEM of the part in braces.
    let tagged = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let tag = &key[open + 1..];
        let tag = &tag[..tag.iter().position(|byte| *byte == b'}')?];
        (!tag.is_empty()).then_some(tag)
    };
    let crc = tagged().unwrap_or(key).iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    debug_assert_eq!(Slot::new(crc % SLOTS), Some(Slot::for_key(key)));
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // CRC-16/XMODEM of "123456789" is 0x31C3.
        assert_eq!(slot_of(b"123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot_of(b"ct:room:{red}:log"), slot_of(b"red"));
        assert_eq!(slot_of(b"ct:room:{}x}"), slot_of(b"ct:room:{}x}"));
        assert_ne!(slot_of(b"ct:room:{}x}"), slot_of(b"ct:ch:{}x}"));
    }

    #[test]
    fn the_map_is_read_as_a_server_sends_it() {
        let node = |host: &str, port| Value::Array(vec![Value::BulkString(host.into()), Value::Int(port)]);
        let range = |first, last, node| Value::Array(vec![Value::Int(first), Value::Int(last), node]);
        let answer = Value::Array(vec![
            range(0, 99, node("one", 1)),
            range(100, 16_382, node("", 2)),
            range(16_383, 16_383, node("one", 1)),
        ]);
        let map = SlotMap::read(&answer, "asked").unwrap();
        assert_eq!(map.primaries(), [("one".to_owned(), 1), ("asked".to_owned(), 2)]);
        assert_eq!(map.owner(16_383), Some(&("one".to_owned(), 1)));
        assert_eq!(map.owner(16_382), Some(&("asked".to_owned(), 2)));
        assert!(map.is_complete());
        assert_eq!(SlotMap::read(&Value::Okay, "asked"), None);
    }
}
