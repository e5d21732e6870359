//! Headless Chromium, driven by chromedriver.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{DEADLINE, eventually, process, until};

const SWITCHES: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

#[derive(Clone, Copy, PartialEq)]
pub enum Screen {
    Desk,
    Phone,
}

pub struct Browser {
    page: Client,
    session: String,
    driver: Driver,
    /// Fresh for each browser; removed after it.
    _profile: TempDir,
}

impl Browser {
    pub async fn open(url: &str, screen: Screen) -> Self {
        let driver = Driver::start();
        let profile = TempDir::new().expect("a temporary folder can be made");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(&profile, screen));
        // The first start of a browser on a busy machine takes its time.
        let connecting =
            tokio::time::timeout(3 * DEADLINE, builder.connect(&format!("http://{}", driver.address))).await;
        let page = connecting.expect("chromium starts in time").expect("chromedriver starts chromium");
        let session = page.session_id().await.ok().flatten().expect("there is a session");
        let browser = Self { page, session, driver, _profile: profile };
        browser.page.goto(url).await.unwrap_or_else(|error| panic!("cannot open {url}: {error}"));
        browser
    }

    /// Waits for the element and clicks it, again if the page was just changing.
    pub async fn click(&self, css: &str) {
        eventually(&format!("{css} can be clicked"), async || {
            self.element(css).await?.click().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// Puts `text` into the field in place of what is there.
    pub async fn fill(&self, css: &str, text: &str) {
        eventually(&format!("{css} can be filled"), async || {
            let field = self.element(css).await?;
            let filled = async { field.clear().await.and(field.send_keys(text).await) };
            filled.await.map_err(|error| error.to_string())
        })
        .await;
    }

    pub async fn shows(&self, css: &str) {
        eventually(&format!("the page shows {css}"), async || self.element(css).await.map(drop)).await;
    }

    pub async fn shows_no(&self, css: &str) {
        until(&format!("the page shows no {css}"), async || self.count(css).await == 0).await;
    }

    pub async fn count(&self, css: &str) -> usize {
        let found = self.page.find_all(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("cannot look for {css}: {error}")).len()
    }

    pub async fn text(&self, css: &str) -> Result<String, String> {
        self.element(css).await?.text().await.map_err(|error| error.to_string())
    }

    pub async fn evaluate(&self, script: &str) -> Value {
        self.page.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Writes what is seen to target/screenshots.
    pub async fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&folder).expect("the folder of screenshots can be made");
        let image = self.page.screenshot().await.expect("the browser gives a screenshot");
        std::fs::write(folder.join(format!("{name}.png")), image).expect("the screenshot can be written");
    }

    async fn element(&self, css: &str) -> Result<Element, String> {
        self.page.find(Locator::Css(css)).await.map_err(|error| match error {
            CmdError::Standard(error) => format!("{css}: {}", error.error),
            other => format!("{css}: {other}"),
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium outlives a killed chromedriver, so its session is ended first, also after a failure.
        if let Err(error) = self.driver.end_session(&self.session) {
            eprintln!("the browser's session does not end: {error}");
        }
    }
}

fn capabilities(profile: &TempDir, screen: Screen) -> Capabilities {
    let mut switches = SWITCHES.map(str::to_owned).to_vec();
    switches.push(format!("--user-data-dir={}", profile.path().display()));
    let mut options = json!({ "args": switches });
    if screen == Screen::Phone {
        // A window cannot be made as narrow as a phone; the emulated device can.
        options["mobileEmulation"] = json!({ "deviceMetrics": { "width": 360, "height": 740, "pixelRatio": 2.0 } });
    }
    Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)])
}

struct Driver {
    child: Child,
    address: SocketAddr,
}

impl Driver {
    /// It takes a free port for IPv4 and insists on the same one for IPv6, where it may be taken; then it ends at once.
    fn start() -> Self {
        (0..10).find_map(|_| Self::try_start()).expect("chromedriver finds a port that is free for both families")
    }

    fn try_start() -> Option<Self> {
        let child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = process::started("chromedriver", child);
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        // It must not come to a halt because nobody reads on.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(port) = port else {
            process::kill(&mut child);
            return None;
        };
        Some(Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    /// By hand and blocking, because it is needed where nothing can be awaited.
    fn end_session(&self, session: &str) -> io::Result<()> {
        let limit = Duration::from_secs(10);
        let mut stream = TcpStream::connect_timeout(&self.address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        // The answer comes when the browser is gone; the connection stays open after it.
        stream.read(&mut [0; 1024]).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}
