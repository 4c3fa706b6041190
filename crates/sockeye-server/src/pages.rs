//! The embedded pages, served as they are: no build step, nothing from outside.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::serve::upgrade_required;

/// A file in the binary.
struct Page {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! pages {
    ($($path:literal => $file:literal $content_type:ident),+ $(,)?) => {
        &[$(Page {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../pages/", $file)),
        }),+]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const PAGES: &[Page] = pages! {
    "/" => "index.html" HTML,
    "/chat" => "chat.html" HTML,
    "/assets/bytes.js" => "assets/bytes.js" JS,
    "/assets/chat.css" => "assets/chat.css" CSS,
    "/assets/chat.js" => "assets/chat.js" JS,
    "/assets/console.css" => "assets/console.css" CSS,
    "/assets/console.js" => "assets/console.js" JS,
    "/assets/dom.js" => "assets/dom.js" JS,
    "/assets/favicon.svg" => "assets/favicon.svg" SVG,
    "/assets/history.js" => "assets/history.js" JS,
    "/assets/list.js" => "assets/list.js" JS,
    "/assets/river.svg" => "assets/river.svg" SVG,
    "/assets/room.js" => "assets/room.js" JS,
    "/assets/socket.js" => "assets/socket.js" JS,
    "/assets/style.css" => "assets/style.css" CSS,
    "/assets/words.js" => "assets/words.js" JS,
};

/// What a page may load and do: its own files, and WebSockets to anywhere, for the console.
const CONTENT_POLICY: &str =
    "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'";

/// Returns the routes of all pages.
pub(crate) fn router() -> Router {
    let router = ["/echo", "/ws"]
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(upgrade_required)));
    PAGES.iter().fold(router, |router, page| {
        router.route(page.path, get(move |headers: HeaderMap| async move { page.answer(&headers) }))
    })
}

impl Page {
    /// Answers with the page, or with 304 when the browser has this very one.
    fn answer(&self, request: &HeaderMap) -> Response {
        let tag = self.tag();
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            // Asked for again each time, as another version of the binary may serve them.
            (header::CACHE_CONTROL, "no-cache"),
            (header::ETAG, &tag),
        ];
        let known = request.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
        if known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.bytes).into_response()
    }

    /// Names the content: FNV-1a, which need not withstand anybody here.
    fn tag(&self) -> String {
        let hash = self.bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("\"{hash:016x}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_pages_is_served() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/pages");
        let assets = std::fs::read_dir(format!("{root}/assets")).unwrap();
        for asset in assets {
            let path = format!("/assets/{}", asset.unwrap().file_name().to_str().unwrap());
            assert!(PAGES.iter().any(|page| page.path == path), "{path} is not in the table");
        }
    }

    #[test]
    fn a_page_the_browser_has_is_not_sent_again() {
        let page = &PAGES[0];
        let mut request = HeaderMap::new();
        assert_eq!(page.answer(&request).status(), StatusCode::OK);
        request.insert(header::IF_NONE_MATCH, page.tag().parse().unwrap());
        assert_eq!(page.answer(&request).status(), StatusCode::NOT_MODIFIED);
    }
}
