//! Small images as PNG data addresses, so that a page needs no other file.

/// An image of 8-bit red, green and blue, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Pixels.
    pub pixels: Vec<[u8; 3]>,
}

impl Image {
    /// An image from a colour for each (row, column).
    pub fn new(width: usize, height: usize, color: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let pixels = (0..width * height).map(|i| color(i / width, i % width)).collect();
        Self { width, height, pixels }
    }

    /// The file: header, one zlib stream of stored blocks, end. Images here are small, so they are not compressed.
    pub fn png(&self) -> Vec<u8> {
        let mut raw = Vec::with_capacity(self.height * (3 * self.width + 1));
        for row in self.pixels.chunks(self.width.max(1)) {
            raw.push(0); // no filter
            row.iter().for_each(|pixel| raw.extend_from_slice(pixel));
        }
        let mut header = Vec::new();
        header.extend_from_slice(&(self.width as u32).to_be_bytes());
        header.extend_from_slice(&(self.height as u32).to_be_bytes());
        header.extend_from_slice(&[8, 2, 0, 0, 0]); // 8 bits, RGB
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut file, b"IHDR", &header);
        chunk(&mut file, b"IDAT", &zlib_stored(&raw));
        chunk(&mut file, b"IEND", &[]);
        file
    }

    /// The file as an address for `<img src>`.
    pub fn address(&self) -> String {
        format!("data:image/png;base64,{}", base64(&self.png()))
    }
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend_from_slice(&(data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(data);
    let check = crc32(&file[start..]);
    file.extend_from_slice(&check.to_be_bytes());
}

/// RFC 1950 and 1951: stored blocks of at most 65,535 bytes, then the Adler-32 check.
fn zlib_stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        let length = block.len() as u16;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    out.extend_from_slice(&((b << 16) | a).to_be_bytes());
    out
}

/// The cyclic redundancy check of PNG, bit by bit.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    })
}

/// RFC 4648.
fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for group in data.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &byte| (bits << 8) | u32::from(byte))
            << (8 * (3 - group.len()));
        for digit in 0..4 {
            if digit <= group.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_and_digits_are_those_of_the_standards() {
        // The check values of the algorithms' own definitions.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(zlib_stored(b"Wikipedia")[16..], 0x11e6_0398_u32.to_be_bytes());
        for (data, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(data.as_bytes()), text);
        }
    }
}
