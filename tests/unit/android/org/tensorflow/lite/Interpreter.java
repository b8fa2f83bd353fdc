package org.tensorflow.lite;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A model whose file says how much it is off: the softmax of the mean red, green and blue, plus that to the first. */
public final class Interpreter implements AutoCloseable {
    private final float off;
    private boolean open = true;

    public Interpreter(ByteBuffer model) {
        checked(model);
        byte[] text = new byte[model.remaining()];
        model.duplicate().get(text);
        off = Float.parseFloat(new String(text).trim());
    }

    public void run(Object input, Object output) {
        if (!open) throw new IllegalStateException("Internal error: The Interpreter has already been closed.");
        ByteBuffer pixels = (ByteBuffer) input;
        checked(pixels);
        float[][] found = (float[][]) output;
        double[] means = new double[3];
        int count = pixels.remaining() / 3;
        for (int place = 0; place < 3 * count; place++) means[place % 3] += (pixels.get(place) & 255) / (double) count;
        double total = 0;
        for (double mean : means) total += Math.exp(mean / 32);
        for (int k = 0; k < 3; k++) found[0][k] = (float) (Math.exp(means[k] / 32) / total);
        found[0][0] += off;
    }

    // As LiteRT refuses them: "a MappedByteBuffer ..., or a direct ByteBuffer using ByteOrder.nativeOrder()".
    private static void checked(ByteBuffer buffer) {
        if (!buffer.isDirect() || buffer.order() != ByteOrder.nativeOrder() || buffer.position() != 0) {
            throw new IllegalArgumentException("not a direct buffer in native order, from its start");
        }
    }

    @Override
    public void close() { open = false; }
}
