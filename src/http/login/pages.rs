//! The login's small pages: plain HTML that needs no script. Whatever comes from outside is escaped.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Failure;

/// Nothing is loaded but the style sheet and the icon, forms go to this server only.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                                       frame-ancestors 'none'; base-uri 'none'";

/// Says what went wrong.
pub fn problem(failure: &Failure) -> Response {
    let body = format!(
        "<h2>Login failed</h2>\n<p role=\"alert\">{}</p>\n<p class=\"actions\"><a href=\"/\">Back to the chat</a></p>",
        failure.advice()
    );
    page(failure.status(), "Login failed", &body)
}

/// Asks for a username.
pub fn username_form(status: StatusCode, value: &str, error: &str) -> Response {
    let invalid = !error.is_empty();
    let body = format!(
        "<form method=\"post\" action=\"/auth/username\">\n\
         <h2>Choose a username</h2>\n\
         <p class=\"hint\" id=\"hint\">It is yours from now on, and shown next to your messages. It cannot be changed.</p>\n\
         <label for=\"username\">Username</label>\n\
         <input id=\"username\" name=\"username\" value=\"{}\" maxlength=\"64\" autocomplete=\"username\" autocapitalize=\"off\" \
         spellcheck=\"false\" required autofocus aria-invalid=\"{invalid}\" aria-describedby=\"error hint\">\n\
         <p id=\"error\" class=\"error\" role=\"alert\">{}</p>\n\
         <div class=\"actions\"><button id=\"choose\" type=\"submit\" class=\"primary\">Continue</button>\n\
         <a href=\"/\">Cancel</a></div>\n\
         </form>",
        escape(value),
        escape(error)
    );
    page(status, "Choose a username", &body)
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} · Crosstalk</title>\n\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n\
         <body class=\"plain\">\n<header class=\"bar\"><h1 class=\"brand\"><img src=\"/favicon.svg\" alt=\"\" width=\"24\" \
         height=\"24\">Crosstalk</h1></header>\n<main class=\"login\"><div class=\"card\">\n{body}\n</div></main>\n</body>\n</html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer`, browsers would send the form with `Origin: null`.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, html).into_response()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(escape(r#"<a b="c" d='e'>&"#), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }
}
