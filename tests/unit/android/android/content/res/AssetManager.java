package android.content.res;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;

/** Of a folder, which the system property "assets" names. */
public final class AssetManager implements AutoCloseable {
    public InputStream open(String fileName) throws IOException {
        return new FileInputStream(new File(System.getProperty("assets"), fileName));
    }

    @Override
    public void close() {}
}
