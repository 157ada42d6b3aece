"""A page in Chromium: what a script of this process sees in it, as JSON.

Usage: chromium.py FILE WIDTH light|dark SCRIPT
"""

import os
import sys

file, width, scheme, script = sys.argv[1:]
os.environ |= {
    "QT_QPA_PLATFORM": "offscreen",
    "QTWEBENGINE_DISABLE_SANDBOX": "1",
    "QTWEBENGINE_CHROMIUM_FLAGS": "--no-sandbox --disable-gpu "
    f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
}

from PySide6.QtCore import QUrl  # noqa: E402  Chromium reads its flags when it is loaded
from PySide6.QtWebEngineCore import QWebEnginePage  # noqa: E402
from PySide6.QtWebEngineWidgets import QWebEngineView  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402


class Page(QWebEnginePage):
    """Complains of what the page complains of."""

    def javaScriptConsoleMessage(self, level, message, line, source):
        print(f"console: {message} (line {line})", file=sys.stderr)
        QApplication.exit(2)


def finish(result):
    print(result)
    app.quit()


app = QApplication(sys.argv[:1])
view = QWebEngineView()
page = Page(view)
view.setPage(page)
view.resize(int(width), 900)
page.loadFinished.connect(lambda ok: page.runJavaScript(script, 0, finish))
view.load(QUrl.fromLocalFile(os.path.abspath(file)))
view.show()
sys.exit(app.exec())
