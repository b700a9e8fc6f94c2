//! In which shapes runtimes, the C library and the kernel report trouble, by kind of illness.
//!
//! The first row that matches counts, so the special ones stand before the general ones. A row
//! holds what languages, libraries and tools print everywhere, never a sentence of one program.

/// Pattern, kind, waitable, words.
pub(super) const TABLE: &[(&str, &str, bool, &str)] = &[
    (
        concat!(
            r"EADDRINUSE|AddrInUse|(?i:address (?:is )?(?:already )?in use)|(?i:address already bound)",
            r"|(?i:\bport\b[^\n]{0,24}\b(?:(?:is|was) (?:already )?|already )(?:in use|taken|allocated|occupied|bound|used))",
            r"|(?i:(?:already|else is) (?:running|listening) on (?:tcp )?(?:port|[\w.]*:\d))|bind: .*in use",
        ),
        "port",
        true,
        "the port it wants to listen on is already in use by another process",
    ),
    (
        concat!(
            r"Cannot find (?:module|package)|MODULE_NOT_FOUND|ModuleNotFoundError|ImportError|ClassNotFoundException",
            r"|NoClassDefFoundError|UnsatisfiedLinkError|cannot load such file|error while loading shared libraries",
            r"|cannot open shared object file|Library not loaded|ERR_DLOPEN_FAILED|compiled against a different Node|version `[A-Z]+_[\d.]+' not found",
            r"|Could not find (?:gem|or load main class)|no required module provides|package \S+ is not in (?:std|GOROOT)|in @INC",
            r"|Class [\x22']?[\w\\]+[\x22']? not found|Failed opening required|Could not load file or assembly",
            r"|can't find package |there is no package called|module '[\w./-]+' not found|[Uu]nresolved import",
        ),
        "module",
        false,
        "a module or package that it needs is not installed (missing dependency)",
    ),
    (
        concat!(
            r"(?i)(?:lock ?file|\.lock\b|\.lck\b|\.pid\b|pid ?file|lockfile)[^\n]{0,160}\b(?:exists?|held|in use|running|already|taken|present|owned|locked|acquire|stale|refus\w*|remove|another)\b",
            r"|\b(?:exists?|held|already|running|another|acquire|obtain|stale|locked|refus\w*)\b[^\n]{0,160}(?:lock ?file|\.lock\b|\.lck\b|pid ?file|\.pid\b|lockfile)",
            r"|another (?:instance|copy|process) (?:is (?:already )?(?:running|using|holding)|holds|has (?:the|a) lock)",
            r"|\balready (?:locked|running (?:as|with|under|\(?pid)|started (?:as|with|\(?pid))|locked by (?:another|a |pid|process)",
            r"|(?:could not|cannot|unable to|failed to) (?:get|obtain|acquire|take) (?:the |a |an )?(?:exclusive |file )?lock\b",
        ),
        "lock",
        true,
        "a lock file is in the way; if the process that it names is dead, the lock is stale and was left behind by a run that was killed",
    ),
    (
        r"(?i)\bpermission denied\b|EACCES|\bEPERM\b|operation not permitted|not executable|AccessDenied|access (?:is|was) denied|insufficient (?:privileges|permissions?)|(?:must|needs to) (?:be )?run as root",
        "permission",
        false,
        "permission denied: a file is not readable or not executable (execute permission) for it",
    ),
    (
        concat!(
            r"(?i:env(?:ironment)?(?: ?var(?:iable)?)?s?\b[^\n]{0,100}\b(?:missing|not (?:set|found|defined|provided|specified|given|present)|unset|undefined|required|empty|must|needs?|no value))",
            r"|(?i:\b(?:missing|unset|undefined|required|requires?|needs?|no|set|without)\b[^\n]{0,40}\benv(?:ironment)?(?: ?var(?:iable)?)?s?\b)",
            r"|KeyError: '[A-Z][A-Z0-9_]+'|key not found: \x22[A-Z][A-Z0-9_]+\x22|Could not resolve placeholder '",
            r"|\b[A-Z][A-Z0-9]*_?[A-Z0-9_]{2,}[`'\x22]?(?:, [`'\x22]?[A-Z][A-Z0-9_]+[`'\x22]?)* (?:(?:is|was|are|were) (?:not (?:set|defined|provided|specified|given|configured|present)|unset|required|missing|undefined|empty|blank)|(?:must|has to|have to|needs to|need to) (?:be (?:set|defined|provided|specified|present|given)|not be (?:empty|blank))|not (?:set|provided|specified|defined|configured)\b|missing\b|missing value)",
            r"|(?:^|[:/ ])[\w.-]+: (?:line )?\d+: [A-Z][A-Z0-9_]{2,}: |\b[A-Z][A-Z0-9_]{2,}: (?:unbound variable|parameter (?:null or )?not set)",
            r"|(?:[Mm]issing|[Uu]ndefined|[Rr]equired|[Uu]nset) (?:env|config\w*|setting|key|variable|value|parameter|option)?\w*(?: for)?:? ?[`'\x22$]{0,2}[A-Z][A-Z0-9]*_[A-Z0-9_]+",
            r"|Settings\n[\s\S]{0,200}Field required|Err\(NotPresent\)|Err` value: NotPresent",
        ),
        "environment",
        false,
        "a required environment variable is missing or not set",
    ),
    (
        r"(?i)no space left|ENOSPC|EFBIG|file too large|disk quota|quota exceeded|EDQUOT|read-only file ?system|EROFS|disk (?:is )?full|(?:not enough|insufficient|out of) (?:free )?(?:disk|storage) ?space",
        "disk",
        false,
        "a disk, a quota or a file size limit is full (exhausted)",
    ),
    (
        r"(?i)too many open files|EMFILE|ENFILE|file descriptors? (?:limit|exhausted)|(?:out of|no more|no free) file (?:descriptors|handles)",
        "descriptors",
        false,
        "file descriptors have run out (a leak of open files)",
    ),
    (
        r"(?i)(?:unable to create|can't start|cannot start|could not (?:create|start)) (?:a )?(?:new )?(?:native )?thread|pthread_create|\bfork\b[^\n]{0,60}(?:unavailable|EAGAIN|fail|retry|limit)|(?:can't|cannot|could not|unable to) fork|too many (?:threads|processes|children)|resource temporarily unavailable|\bEAGAIN\b",
        "children",
        false,
        "child processes pile up (a leak of children)",
    ),
    (
        r"(?i)out of memory|heap limit|MemoryError|OutOfMemory|cannot allocate memory|ENOMEM|bad_alloc|memory allocation (?:of \d+ bytes )?failed|GC overhead limit|allowed memory size|allocation failed|failed to allocate \d+",
        "memory",
        false,
        "memory has run out",
    ),
    (
        r"FileNotFoundError|ENOENT|[Nn]o such file|NoSuchFileException|FileNotFoundException|command not found|: \d+: \S+: not found$|os error 2\b|unable to open database file|[Ff]ile \S+ (?:does not exist|not found)|(?i:(?:file|folder|directory|path) (?:was )?not found)",
        "file",
        true,
        "a file that it needs does not exist (no such file; it may be written later)",
    ),
    (
        concat!(
            r"(?i:certificate (?:has |is |was )?(?:expired|not yet valid|revoked)|expired certificate|CertificateExpired|CertPathValidator|validity check failed)",
            r"|x509:|SSLHandshakeException|PKIX path|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_VERIFY_LEAF|ERR_TLS_CERT|CERT_HAS_EXPIRED|CERTIFICATE_VERIFY_FAILED",
            r"|(?i:certificate verify failed|SSL certificate problem|unable to verify the first certificate|self[- ]signed certificate|InvalidCertificate|unable to get local issuer|alert (?:certificate|unknown ca)|no alternative certificate subject name|certificate (?:is )?not trusted|bad certificate)",
        ),
        "certificate",
        false,
        "a TLS certificate that it checks is expired or not trusted",
    ),
    (
        concat!(
            r"SyntaxError|JSONDecodeError|json: cannot unmarshal|invalid character .* (?:looking for|after)|database disk image is malformed|(?i:checksum|crc|digest)[^\n]{0,20}(?i:mismatch|fail|error|invalid)",
            r"|Bad(?:Zip|Gzip)File|EOFError|EOFException|UnpicklingError|StreamCorruptedException|(?i:unexpected (?:end of|eof)|premature end)|Psych::|configparser\.|ConfigException|JSON\.parse|Unexpected token",
            r"|Pars(?:er?|ing)(?:Error|Exception)|ScannerError|YAMLException|TOMLDecodeError|XmlException|JsonMapping|Malformed\w*|malformed",
            r"|(?i:file is not a database|invalid stream header|incorrect header check|bad magic|magic number|was truncated|is truncated|is corrupt|corrupted|corrupt (?:file|data|index|cache|header|block))",
            r"|(?i:(?:could not|cannot|can't|unable to|failed to|error while|error) (?:pars|decod|deserializ|unmarshal)\w*|(?:parse|parsing|syntax|decode) error|bad indentation|unterminated|not well-formed|mapping values are not allowed|unknown directive|\[emerg\])",
            r"|(?i:(?:yaml|toml|json|ini|xml): line \d+|invalid (?:yaml|toml|json|xml|ini|configuration file|config file)|duplicate key|contains no section headers|must be terminated by the matching end-tag)",
            r"|\bat line \d+,? col(?:umn)?\b|\b[Ll]ine \d+,? [Cc]olumn \d+",
        ),
        "parse",
        false,
        "a file that it reads at start cannot be parsed (syntax error, or the file is cut off or corrupt)",
    ),
    (
        concat!(
            r"(?i)pool\b[^\n]{0,40}\b(?:exhausted|full|empty|drained|depleted|timed out|timeout|limit)|QueuePool limit|HikariPool[^\n]*not available|PoolTimeout|PoolError|AcquireTimeout|ResourceRequest timed out",
            r"|remaining connection slots|no (?:free|available|idle|more) (?:\w+ )?connections?|no connections? (?:became|is|are|was|were)? ?(?:free|available|idle)|all (?:\d+ )?(?:\w+ )?connections? (?:are )?(?:in use|busy|taken|checked out)",
            r"|(?:acquir\w+|waiting for|get(?:ting)?|obtain\w*|borrow\w*) (?:an? |the )?(?:idle |free |database |db )?connection (?:from|within|in|took|\()|acquiring (?:a )?connection|timeout exceeded when trying to connect|connection pool|too many (?:connections|clients)|connection limit (?:reached|exceeded)",
        ),
        "pool",
        false,
        "the connection pool is exhausted: connections are never handed back",
    ),
    (
        r"(?i)\bENOTFOUND\b|EAI_AGAIN|EAI_NONAME|getaddrinfo|gaierror|name or service not known|name resolution|name does not resolve|(?:could not|cannot|can't|unable to|failed to) (?:resolve|look ?up)[^\n]{0,30}\b(?:host|name|address|dns|\w+\.\w+)|no such host|host not found|UnknownHost|UnresolvedAddress|nodename nor servname|could not translate host|NXDOMAIN|SERVFAIL|\bdns error|no address associated with|bad hostname",
        "dns",
        true,
        "a host name cannot be resolved (DNS)",
    ),
    (
        r"(?i)ECONNREFUSED|connection (?:was |is )?refused|connect\w*: refused|ConnectException|Connection(?:Refused|Reset|Aborted)?Error|ConnectionRefused|ECONNRESET|unreachable|EHOSTUNREACH|no route to host|ETIMEDOUT|connect(?:ion)? timed out|couldn't connect to|failed to connect|(?:could not|cannot|can't|unable to) connect|lost connection|server closed the connection|socket hang ?up|has gone away|connection (?:was )?(?:closed|lost|reset) by|UND_ERR_(?:CONNECT|SOCKET)",
        "dependency",
        true,
        "something that it depends on does not answer (connection refused or unreachable)",
    ),
    (
        concat!(
            r"(?i)in the future|clock (?:is )?skew|time skew|clock (?:moved|went|jumped|set) (?:back|forward)|clock drift|clock jump|time (?:went|moved|jumped|ran) (?:back|forward)|system (?:clock|time) (?:is|was|went|jump)|misfire",
            r"|ahead of (?:now|the (?:current|local|system|server|wall)|local time|current time|system)|(?:later|newer|greater) than (?:now|the current (?:time|date))|(?:used|issued) before (?:issued|its)|not (?:yet )?valid (?:yet|before)|TooSkewed|negative (?:elapsed|duration|time|age|interval)",
        ),
        "clock",
        false,
        "a time stamp lies in the future: the clock or the stored time is wrong",
    ),
    (
        r"(?i)\bdefunct\b|\bzombies?\b|not reaped|unreaped",
        "zombies",
        false,
        "finished children are never reaped (zombie processes)",
    ),
    (
        r"[\w.$]*[A-Za-z](?:Error|Exception)\b|Traceback \(most recent|panicked at|\bError: |\bUncaught\b|goroutine \d+ \[running\]|[Aa]ssertion[^\n]{0,40}failed",
        "exception",
        false,
        "an exception in its own code (a bug): the same code fails on the same input",
    ),
];
