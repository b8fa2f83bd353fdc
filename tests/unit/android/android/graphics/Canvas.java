package android.graphics;

public class Canvas {
    private final Bitmap bitmap;

    public Canvas(Bitmap bitmap) { this.bitmap = bitmap; }

    public void drawColor(int color) { java.util.Arrays.fill(bitmap.pixels, color); }

    public void drawBitmap(Bitmap drawn, float left, float top, Paint paint) {
        if (left != 0 || top != 0 || drawn.width != bitmap.width || drawn.height != bitmap.height) {
            throw new IllegalArgumentException("only a whole bitmap is drawn here");
        }
        for (int place = 0; place < drawn.pixels.length; place++) {
            int over = drawn.pixels[place];
            int under = bitmap.pixels[place];
            int alpha = over >>> 24;
            int mixed = 0xFF;
            for (int shift = 16; shift >= 0; shift -= 8) {
                int sum = (over >> shift & 255) * alpha + (under >> shift & 255) * (255 - alpha);
                mixed = mixed << 8 | (sum + 127) / 255;
            }
            bitmap.pixels[place] = mixed;
        }
    }
}
