package android.graphics;

import android.content.ContentResolver;
import android.net.Uri;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import javax.imageio.ImageIO;

/** By ImageIO; a photo of a content resolver is a file whose path the Uri prints. */
public final class ImageDecoder implements AutoCloseable {
    public static final int ALLOCATOR_DEFAULT = 0;
    public static final int ALLOCATOR_SOFTWARE = 1;

    public abstract static class Source {
        abstract BufferedImage read() throws IOException;
    }

    public static class ImageInfo {}

    public interface OnHeaderDecodedListener {
        void onHeaderDecoded(ImageDecoder decoder, ImageInfo info, Source source);
    }

    private int allocator = ALLOCATOR_DEFAULT;
    private ColorSpace colorSpace;

    public static Source createSource(ByteBuffer buffer) {
        return new Source() {
            @Override
            BufferedImage read() throws IOException {
                byte[] bytes = new byte[buffer.remaining()];
                buffer.duplicate().get(bytes);
                return ImageIO.read(new ByteArrayInputStream(bytes));
            }
        };
    }

    public static Source createSource(ContentResolver resolver, Uri uri) {
        return new Source() {
            @Override
            BufferedImage read() throws IOException { return ImageIO.read(new java.io.File(uri.toString())); }
        };
    }

    public static Bitmap decodeBitmap(Source source, OnHeaderDecodedListener listener) throws IOException {
        BufferedImage image = source.read();
        if (image == null) throw new IOException("no image");
        ImageDecoder decoder = new ImageDecoder();
        listener.onHeaderDecoded(decoder, new ImageInfo(), source);
        // On a phone the pixels of a bitmap in the GPU's memory cannot be read.
        if (decoder.allocator != ALLOCATOR_SOFTWARE) throw new IllegalStateException("a hardware bitmap");
        if (decoder.colorSpace == null) throw new IllegalStateException("colours of the file");
        int width = image.getWidth(), height = image.getHeight();
        int[] pixels = image.getRGB(0, 0, width, height, null, 0, width);
        return new Bitmap(pixels, width, height, image.getColorModel().hasAlpha());
    }

    public void setAllocator(int allocator) { this.allocator = allocator; }

    public int getAllocator() { return allocator; }

    public void setTargetColorSpace(ColorSpace colorSpace) { this.colorSpace = colorSpace; }

    @Override
    public void close() {}
}
