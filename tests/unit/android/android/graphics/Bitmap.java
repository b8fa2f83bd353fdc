package android.graphics;

public final class Bitmap {
    public enum Config { ALPHA_8, RGB_565, ARGB_8888, HARDWARE }

    final int[] pixels; // 0xAARRGGBB, as getPixels gives them: not multiplied by alpha
    final int width;
    final int height;
    final boolean alpha;

    Bitmap(int[] pixels, int width, int height, boolean alpha) {
        this.pixels = pixels;
        this.width = width;
        this.height = height;
        this.alpha = alpha;
    }

    public static Bitmap createBitmap(int width, int height, Config config) {
        if (config != Config.ARGB_8888) throw new IllegalArgumentException("only ARGB_8888 is known here");
        return new Bitmap(new int[width * height], width, height, true);
    }

    public final int getWidth() { return width; }

    public final int getHeight() { return height; }

    public final boolean hasAlpha() { return alpha; }

    public void getPixels(int[] into, int offset, int stride, int x, int y, int width, int height) {
        if (x < 0 || y < 0 || x + width > this.width || y + height > this.height) throw new IllegalArgumentException();
        for (int row = 0; row < height; row++) {
            System.arraycopy(pixels, (y + row) * this.width + x, into, offset + row * stride, width);
        }
    }
}
