package android.graphics;

public abstract class ColorSpace {
    public enum Named { SRGB, DISPLAY_P3 }

    public static ColorSpace get(Named name) {
        if (name != Named.SRGB) throw new IllegalArgumentException("only sRGB is known here");
        return new ColorSpace() {};
    }
}
