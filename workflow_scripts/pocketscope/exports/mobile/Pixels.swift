import Foundation

/// From a decoded picture to the pixels that the network has learnt: bilinear with a support that grows with the reduction,
/// after whole blocks were averaged where an image shrinks much, as Pillow 13 does it. Core Graphics resizes otherwise.
/// Plain Swift, without a framework of Apple's.
public protocol Picture {
    var width: Int { get }
    var height: Int { get }

    /// The pixels of a part, row by row, as red, green, blue and a byte that is not looked at; on white already.
    func read(left: Int, top: Int, width: Int, height: Int) -> [UInt8]
}

public enum Pixels {
    static let gap = 3.0  // Pillow's reducing_gap
    static let bits = 22  // of the fixed point that Pillow's weights are in

    struct Levels {
        let width: Int
        let height: Int
        var data: [UInt8]
    }

    struct Weights {
        let first: Int
        let weights: [Int]
    }

    /// RGB of size x size, row by row. `how` is `resize` of model.json: stretch, crop or pad.
    public static func toSquare(_ picture: Picture, size: Int, how: String) -> [UInt8] {
        let width = Double(picture.width)
        let height = Double(picture.height)
        switch how {
        case "stretch":
            return resized(picture, size, size, [0, 0, width, height]).data
        case "crop":
            let side = min(width, height)
            let left = (width - side) / 2
            let top = (height - side) / 2
            return resized(picture, size, size, [left, top, left + side, top + side]).data
        case "pad":
            let longer = max(width, height)
            let across = max(1, Int((width * Double(size) / longer).rounded(.toNearestOrEven)))
            let down = max(1, Int((height * Double(size) / longer).rounded(.toNearestOrEven)))
            let left = (size - across) / 2
            let top = (size - down) / 2
            let small = resized(picture, across, down, [0, 0, width, height]).data
            var result = [UInt8](repeating: 0, count: size * size * 3)
            for y in 0..<down {
                let to = ((top + y) * size + left) * 3
                result.replaceSubrange(to..<(to + across * 3), with: small[(y * across * 3)..<((y + 1) * across * 3)])
            }
            return result
        default:
            preconditionFailure("resize '\(how)' is none of stretch, crop, pad")
        }
    }

    static func resized(_ picture: Picture, _ width: Int, _ height: Int, _ box: [Double]) -> Levels {
        let wide = (box[2] - box[0]) / Double(width)
        let tall = (box[3] - box[1]) / Double(height)
        let factorX = max(1, Int(wide / gap))
        let factorY = max(1, Int(tall / gap))
        var part = [0, 0, picture.width, picture.height]
        if factorX > 1 || factorY > 1 {
            part = [
                max(0, Int(box[0] - 0.5 * wide)),
                max(0, Int(box[1] - 0.5 * tall)),
                min(picture.width, Int((box[2] + 0.5 * wide).rounded(.up))),
                min(picture.height, Int((box[3] + 0.5 * tall).rounded(.up))),
            ]
        }
        let image = reduced(picture, part, factorX, factorY)
        let left = Float((box[0] - Double(part[0])) / Double(factorX))
        let top = Float((box[1] - Double(part[1])) / Double(factorY))
        let right = Float((box[2] - Double(part[0])) / Double(factorX))
        let bottom = Float((box[3] - Double(part[1])) / Double(factorY))
        // Each pass rounds to whole levels, so that their order matters by one.
        if image.height > height && image.height - height > 2 * (image.width - width) {
            return across(down(image, top, bottom, height), left, right, width)
        }
        return down(across(image, left, right, width), top, bottom, height)
    }

    /// Averages blocks of a part, read in strips: 48 megapixels never lie in memory twice.
    static func reduced(_ picture: Picture, _ part: [Int], _ factorX: Int, _ factorY: Int) -> Levels {
        let wide = part[2] - part[0]
        let width = (wide + factorX - 1) / factorX
        let height = (part[3] - part[1] + factorY - 1) / factorY
        var data = [UInt8](repeating: 0, count: width * height * 3)
        let step = factorY * max(1, (1 << 20) / max(1, wide * factorY))
        for from in stride(from: part[1], to: part[3], by: step) {
            let rows = min(step, part[3] - from)
            let strip = picture.read(left: part[0], top: from, width: wide, height: rows)
            for y in 0..<((rows + factorY - 1) / factorY) {
                let tall = min(factorY, rows - y * factorY)
                for x in 0..<width {
                    let broad = min(factorX, wide - x * factorX)
                    let count = broad * tall
                    let multiplier = (1 << 32) / (256 * count)  // Pillow divides so
                    var sums = [count / 2, count / 2, count / 2]
                    for v in 0..<tall {
                        var at = ((y * factorY + v) * wide + x * factorX) * 4
                        for _ in 0..<broad {
                            sums[0] += Int(strip[at])
                            sums[1] += Int(strip[at + 1])
                            sums[2] += Int(strip[at + 2])
                            at += 4
                        }
                    }
                    let to = (((from - part[1]) / factorY + y) * width + x) * 3
                    for colour in 0..<3 {
                        data[to + colour] = UInt8((sums[colour] * multiplier) >> 24)
                    }
                }
            }
        }
        return Levels(width: width, height: height, data: data)
    }

    static func weightsOf(_ length: Int, _ from: Float, _ to: Float, _ size: Int) -> [Weights] {
        let scale = Double(to - from) / Double(size)  // Pillow's boxes are of single precision
        let filterScale = max(scale, 1)
        return (0..<size).map { at in
            let centre = Double(from) + (Double(at) + 0.5) * scale
            let first = max(0, Int(centre - filterScale + 0.5))
            let end = min(length, Int(centre + filterScale + 0.5))
            let exact = (first..<end).map { place -> Double in
                let away = abs((Double(place) - centre + 0.5) * (1 / filterScale))
                return away < 1 ? 1 - away : 0
            }
            let total = exact.reduce(0, +)
            let weights = exact.map { Int(0.5 + (total != 0 ? $0 / total : $0) * Double(1 << bits)) }
            return Weights(first: first, weights: weights)
        }
    }

    static func across(_ image: Levels, _ from: Float, _ to: Float, _ width: Int) -> Levels {
        let taken = weightsOf(image.width, from, to, width)
        var data = [UInt8](repeating: 0, count: width * image.height * 3)
        for y in 0..<image.height {
            for x in 0..<width {
                for colour in 0..<3 {
                    var total = 1 << (bits - 1)
                    var at = (y * image.width + taken[x].first) * 3 + colour
                    for weight in taken[x].weights {
                        total += Int(image.data[at]) * weight
                        at += 3
                    }
                    data[(y * width + x) * 3 + colour] = UInt8(max(0, min(255, total >> bits)))
                }
            }
        }
        return Levels(width: width, height: image.height, data: data)
    }

    static func down(_ image: Levels, _ from: Float, _ to: Float, _ height: Int) -> Levels {
        let taken = weightsOf(image.height, from, to, height)
        let row = image.width * 3
        var data = [UInt8](repeating: 0, count: row * height)
        for y in 0..<height {
            for x in 0..<row {
                var total = 1 << (bits - 1)
                var at = taken[y].first * row + x
                for weight in taken[y].weights {
                    total += Int(image.data[at]) * weight
                    at += row
                }
                data[y * row + x] = UInt8(max(0, min(255, total >> bits)))
            }
        }
        return Levels(width: image.width, height: height, data: data)
    }
}
