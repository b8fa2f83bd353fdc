import CoreGraphics
import CoreML
import Foundation
import ImageIO

/// Of one image. `reliable` is nil where the model does not say from which probability on its answers are.
public struct Answer {
    public let name: String
    public let probability: Float
    public let reliable: Bool?
    public let probabilities: [Float]
}

public enum ClassifierError: Error {
    case unreadable(String)
    case computesOtherwise(String, Float)
}

/// A model that `pocketscope export coreml` wrote. Add NAME.mlpackage to the target (Xcode compiles it to NAME.mlmodelc),
/// and model.json and the folder self_test as resources ("folder reference"). iOS 15 or newer.
public final class Classifier {
    struct About: Decodable {
        struct SelfTest: Decodable {
            let largest_difference: Float
            let images: [String: [Float]]
        }

        let name: String
        let classes: [String]
        let image_size: Int
        let resize: String
        let reliable_from: Float?
        let self_test: SelfTest
    }

    private let about: About
    private let model: MLModel
    private let bundle: Bundle

    public init(bundle: Bundle = .main) throws {
        guard let json = bundle.url(forResource: "model", withExtension: "json") else {
            throw ClassifierError.unreadable("model.json")
        }
        about = try JSONDecoder().decode(About.self, from: Data(contentsOf: json))
        guard let compiled = bundle.url(forResource: about.name, withExtension: "mlmodelc") else {
            throw ClassifierError.unreadable(about.name)
        }
        model = try MLModel(contentsOf: compiled)
        self.bundle = bundle
    }

    /// Refuses a phone that computes otherwise: call it once, and answer nothing where it throws.
    public func selfTest() throws {
        for (path, expected) in about.self_test.images {
            let found = try classify(bundle.bundleURL.appendingPathComponent(path)).probabilities
            let differs = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
            if differs > about.self_test.largest_difference {
                throw ClassifierError.computesOtherwise(path, differs)
            }
        }
    }

    /// What the model says of a photo. Takes time: not on the main thread.
    public func classify(_ file: URL) throws -> Answer {
        let size = about.image_size
        let pixels = Pixels.toSquare(try Photo(file), size: size, how: about.resize)
        let given = try MLMultiArray(shape: [1, size, size, 3] as [NSNumber], dataType: .float32)
        let numbers = given.dataPointer.bindMemory(to: Float32.self, capacity: pixels.count)
        for (place, level) in pixels.enumerated() {
            numbers[place] = Float32(level)
        }
        let answer = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: ["images": given]))
        guard let found = answer.featureValue(for: "probabilities")?.multiArrayValue else {
            throw ClassifierError.unreadable("probabilities")
        }
        let probabilities = about.classes.indices.map { found[$0].floatValue }
        let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
        return Answer(
            name: about.classes[best],
            probability: probabilities[best],
            reliable: about.reliable_from.map { probabilities[best] >= $0 },
            probabilities: probabilities
        )
    }
}

/// A decoded file, turned as its EXIF orientation says, on white.
private struct Photo: Picture {
    let width: Int
    let height: Int
    private let bytes: [UInt8]

    init(_ file: URL) throws {
        guard let source = CGImageSourceCreateWithURL(file as CFURL, nil),
            let image = CGImageSourceCreateImageAtIndex(source, 0, [kCGImageSourceShouldCache: false] as CFDictionary)
        else {
            throw ClassifierError.unreadable(file.lastPathComponent)
        }
        let facts = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
        let orientation = (facts?[kCGImagePropertyOrientation] as? NSNumber)?.intValue ?? 1
        let wide = image.width
        let tall = image.height
        var stored = [UInt8](repeating: 255, count: wide * tall * 4)
        let drawn = stored.withUnsafeMutableBytes { buffer -> Bool in
            guard let context = CGContext(
                data: buffer.baseAddress, width: wide, height: tall, bitsPerComponent: 8, bytesPerRow: wide * 4,
                // The picture's own colours, where they are RGB: profiles are not applied in training either.
                space: image.colorSpace?.model == .rgb ? image.colorSpace! : CGColorSpace(name: CGColorSpace.sRGB)!,
                bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            else {
                return false
            }
            context.interpolationQuality = .none
            context.setFillColor(red: 1, green: 1, blue: 1, alpha: 1)
            context.fill(CGRect(x: 0, y: 0, width: wide, height: tall))
            context.draw(image, in: CGRect(x: 0, y: 0, width: wide, height: tall))
            return true
        }
        guard drawn else {
            throw ClassifierError.unreadable(file.lastPathComponent)
        }
        (width, height, bytes) = Photo.turned(stored, wide, tall, orientation)
    }

    func read(left: Int, top: Int, width: Int, height: Int) -> [UInt8] {
        var part = [UInt8]()
        part.reserveCapacity(width * height * 4)
        for y in top..<(top + height) {
            part += bytes[((y * self.width + left) * 4)..<((y * self.width + left + width) * 4)]
        }
        return part
    }

    /// EXIF's eight orientations: where the stored pixel (x, y) is shown.
    static func turned(_ stored: [UInt8], _ wide: Int, _ tall: Int, _ orientation: Int) -> (Int, Int, [UInt8]) {
        if orientation < 2 || orientation > 8 {
            return (wide, tall, stored)
        }
        let swapped = orientation >= 5
        let width = swapped ? tall : wide
        var shown = [UInt8](repeating: 0, count: stored.count)
        for y in 0..<tall {
            for x in 0..<wide {
                let (column, row): (Int, Int)
                switch orientation {
                case 2: (column, row) = (wide - 1 - x, y)
                case 3: (column, row) = (wide - 1 - x, tall - 1 - y)
                case 4: (column, row) = (x, tall - 1 - y)
                case 5: (column, row) = (y, x)
                case 6: (column, row) = (tall - 1 - y, x)
                case 7: (column, row) = (tall - 1 - y, wide - 1 - x)
                default: (column, row) = (y, wide - 1 - x)
                }
                for byte in 0..<4 {
                    shown[(row * width + column) * 4 + byte] = stored[(y * wide + x) * 4 + byte]
                }
            }
        }
        return (width, swapped ? wide : tall, shown)
    }
}
