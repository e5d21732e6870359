//! Which servers there are: one Redis, one that Sentinels name, or a cluster, in the clear or through TLS.

use std::time::Duration;

use ::redis::io::tcp::TcpSettings;
use ::redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, TlsCertificates,
};

use super::{BackendError, Settings};

/// After this time without an acknowledgement of what was sent, the kernel gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(4);
/// What `storage.redis` may begin with, and whether TLS and which form of it is meant.
const SCHEMES: &[(&str, bool, Form)] = &[
    ("redis://", false, Form::One),
    ("rediss://", true, Form::One),
    ("redis+sentinel://", false, Form::Sentinels),
    ("rediss+sentinel://", true, Form::Sentinels),
    ("redis+cluster://", false, Form::Cluster),
    ("rediss+cluster://", true, Form::Cluster),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    One,
    Sentinels,
    Cluster,
}

/// How to prove who one is to the servers, and have them prove it. Paths of PEM files; what is empty is not used.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Certificates of the authorities to trust instead of the usual ones.
    pub ca_file: String,
    /// This client's certificate, and the chain above it.
    pub certificate: String,
    /// The key of that certificate.
    pub key: String,
    /// User and password for the Sentinels, which have users of their own.
    pub sentinel_user: String,
    pub sentinel_password: String,
}

/// Where to connect.
#[derive(Debug, Clone)]
pub enum Servers {
    One(ConnectionInfo),
    Sentinels {
        sentinels: Vec<ConnectionInfo>,
        /// The name under which the Sentinels watch the master.
        service: String,
        /// The master but for its address.
        master: ConnectionInfo,
    },
    /// Nodes of a cluster to ask for the others.
    Cluster(Vec<ConnectionInfo>),
}

impl Servers {
    /// # Errors
    /// When the URL or one of the PEM files cannot be used; the text begins with the key of the setting.
    pub fn of(settings: &Settings) -> Result<Self, BackendError> {
        let url = Url::parse(&settings.url).map_err(|reason| wrong("storage.redis", reason))?;
        let certificates = certificates(&settings.access)?;
        if !url.tls && certificates.is_some() {
            return Err(wrong(
                "storage.redis",
                "redis.ca_file and redis.certificate need a URL that begins with rediss",
            ));
        }
        let infos = url.infos(certificates.as_ref())?;
        let [first, ..] = infos.as_slice() else { return Err(wrong("storage.redis", "names no server")) };
        Ok(match url.form {
            Form::One => Self::One(first.clone()),
            Form::Cluster => Self::Cluster(infos),
            Form::Sentinels => {
                let access = &settings.access;
                let mut login = RedisConnectionInfo::default().set_protocol(first.redis_settings().protocol());
                if !access.sentinel_user.is_empty() {
                    login = login.set_username(&access.sentinel_user);
                }
                if !access.sentinel_password.is_empty() {
                    login = login.set_password(&access.sentinel_password);
                }
                let master = first.clone();
                let sentinels = infos.into_iter().map(|info| info.set_redis_settings(login.clone())).collect();
                Self::Sentinels { sentinels, service: url.service, master }
            }
        })
    }
}

/// The same server under another address, as servers name one another.
pub fn at(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let address = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    };
    info.clone().set_addr(address)
}

/// Only RESP3 brings messages and confirmations apart on one connection.
pub fn hearing(info: &ConnectionInfo) -> ConnectionInfo {
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    info.clone().set_redis_settings(redis)
}

pub fn connection_config(settings: &Settings) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout))
        .set_response_timeout(Some(settings.command_timeout))
}

fn wrong(key: &str, reason: impl std::fmt::Display) -> BackendError {
    BackendError::Failed(format!("{key}: {reason}"))
}

/// `storage.redis`, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Url {
    form: Form,
    tls: bool,
    /// User and password with the `@`, still encoded.
    login: String,
    hosts: Vec<String>,
    service: String,
    database: String,
}

impl Url {
    fn parse(text: &str) -> Result<Self, String> {
        let known = || SCHEMES.iter().map(|(scheme, ..)| *scheme).collect::<Vec<_>>().join(", ");
        let (rest, tls, form) = SCHEMES
            .iter()
            .find_map(|(scheme, tls, form)| Some((text.strip_prefix(scheme)?, *tls, *form)))
            .ok_or_else(|| format!("must begin with one of {}", known()))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let at = authority.rfind('@').map_or(0, |at| at + 1);
        let (login, hosts) = authority.split_at(at);
        let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        if hosts.iter().any(String::is_empty) {
            return Err("must name a host after the scheme, and one after each comma".to_owned());
        }
        if form == Form::One && hosts.len() > 1 {
            return Err("names several hosts, which only redis+sentinel:// and redis+cluster:// do".to_owned());
        }
        let (service, database) = match form {
            Form::Sentinels => path.split_once('/').unwrap_or((path, "")),
            Form::One | Form::Cluster => ("", path),
        };
        if form == Form::Sentinels && service.is_empty() {
            return Err("must end with /<service>, the name under which the Sentinels watch the master".to_owned());
        }
        if form == Form::Cluster && !database.is_empty() {
            return Err("must end with the hosts: a cluster has one database only".to_owned());
        }
        let (login, service, database) = (login.to_owned(), service.to_owned(), database.to_owned());
        Ok(Self { form, tls, login, hosts, service, database })
    }

    /// Each host as the Redis client knows it.
    fn infos(&self, certificates: Option<&TlsCertificates>) -> Result<Vec<ConnectionInfo>, BackendError> {
        let keepalive = socket2::TcpKeepalive::new().with_time(USER_TIMEOUT).with_interval(Duration::from_secs(1));
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(USER_TIMEOUT);
        let scheme = if self.tls { "rediss" } else { "redis" };
        let info = |host: &String| {
            let default_port = if self.form == Form::Sentinels { ":26379" } else { "" };
            let port = if has_port(host) { "" } else { default_port };
            let url = format!("{scheme}://{}{host}{port}/{}", self.login, self.database);
            let info = url.as_str().into_connection_info().map_err(|error| wrong("storage.redis", error))?;
            let info = match certificates {
                Some(certificates) => Client::build_with_tls(info, certificates.clone())
                    .map_err(|error| wrong("redis.ca_file, redis.certificate, redis.key", error))?
                    .get_connection_info()
                    .clone(),
                None => info,
            };
            // The client's name and version would cost a right, and a round trip each time.
            let login = info.redis_settings().clone().set_skip_set_lib_name();
            Ok(info.set_redis_settings(login).set_tcp_settings(tcp.clone()))
        };
        self.hosts.iter().map(info).collect()
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'))
}

fn certificates(access: &Access) -> Result<Option<TlsCertificates>, BackendError> {
    let read = |key: &str, path: &str| {
        let read = || std::fs::read(path).map_err(|error| wrong(key, format_args!("{path}: {error}")));
        if path.is_empty() { Ok(None) } else { read().map(Some) }
    };
    let root_cert = read("redis.ca_file", &access.ca_file)?;
    let client_tls = match (read("redis.certificate", &access.certificate)?, read("redis.key", &access.key)?) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(wrong("redis.certificate", "needs redis.key, and the other way round")),
    };
    let named = root_cert.is_some() || client_tls.is_some();
    Ok(named.then_some(TlsCertificates { client_tls, root_cert }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_taken_apart() {
        let parsed = Url::parse("rediss+sentinel://gateway:a%40b@one:1,two:2/chat/3").unwrap();
        let hosts = ["one:1", "two:2"].map(str::to_owned).to_vec();
        let expected = Url {
            form: Form::Sentinels,
            tls: true,
            login: "gateway:a%40b@".to_owned(),
            hosts,
            service: "chat".to_owned(),
            database: "3".to_owned(),
        };
        assert_eq!(parsed, expected);
        let infos = parsed.infos(None).unwrap();
        assert_eq!(infos[1].redis_settings().password(), Some("a@b"));
        assert_eq!(infos[1].redis_settings().db(), 3);
        let sentinel = Url::parse("redis+sentinel://[::1]/chat").unwrap().infos(None).unwrap();
        assert!(matches!(sentinel[0].addr(), ConnectionAddr::Tcp(_, 26379)), "{:?}", sentinel[0].addr());
        assert_eq!(Url::parse("redis+cluster://one:1,two:2").unwrap().hosts.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, reason) in [
            ("http://one", "must begin with one of redis://, rediss://, redis+sentinel://"),
            ("redis://", "must name a host"),
            ("redis://one,two", "names several hosts"),
            ("redis+sentinel://one:1", "must end with /<service>"),
            ("redis+cluster://one:1,", "must name a host"),
            ("redis+cluster://one:1/2", "one database only"),
        ] {
            let error = Url::parse(url).unwrap_err();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }
}
