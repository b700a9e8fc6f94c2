//! Logs in the styles of well-known systems, made here, with the template of every line.
//!
//! The sentences are our own; their habits are those of the systems whose name they bear, as
//! the parsing benchmarks use them: numbers glued to words, names without any form, lists of
//! any length, sentences that differ in one word, and values that are sentences themselves.
//! It is one piece although it is long: a table for each system, and nothing else.

/// A system: its name, the header of its lines, and its sentences, the frequent ones first.
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) header: &'static str,
    pub(crate) sentences: &'static [&'static str],
}

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }
}

const USERS: [&str; 16] = [
    "root",
    "admin",
    "test",
    "oracle",
    "guest",
    "ana",
    "bob",
    "webmaster",
    "support",
    "fztu",
    "nagios",
    "postgres",
    "ftp",
    "ubnt",
    "carol",
    "dave",
];
const HOSTS: [&str; 12] = [
    "alpha",
    "node-12.example.com",
    "combo",
    "db3.internal",
    "tiger",
    "mesos-slave-07",
    "calvisitor-10-105",
    "authorMacBook-Pro",
    "proxy.campus.example",
    "lion",
    "mail.example.org",
    "build01",
];
const CLASSES: [&str; 8] = [
    "org.apache.hadoop.io.compress.CodecPool",
    "RMContainerAllocator",
    "TaskAttemptImpl",
    "com.acme.web.SessionStore",
    "DFSClient",
    "android.app.ActivityThread",
    "JobImpl",
    "org.eclipse.jetty.Server",
];
const PROGRAMS: [&str; 8] = [
    "chrome.exe",
    "git.exe",
    "Dropbox.exe",
    "thunderbird.exe",
    "YodaoDict.exe",
    "nginx",
    "crond",
    "sshd",
];
const REASONS: [&str; 6] = [
    "Connection refused",
    "No route to host",
    "timed out",
    "Broken pipe",
    "No such file or directory",
    "Permission denied by the policy of the server",
];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const LEVELS: [&str; 4] = ["INFO", "INFO", "WARN", "ERROR"];
const THREADS: [&str; 4] = [
    "main",
    "Thread",
    "RMCommunicator Allocator",
    "IPC Server handler",
];
const FOLDERS: [&str; 8] = ["usr", "var", "data", "jobs", "spool", "www", "home", "tmp"];

fn value(kind: &str, dice: &mut Dice, out: &mut String) {
    use std::fmt::Write;
    let n = dice.roll(1 << 40);
    let written = match kind {
        "int" => write!(out, "{}", n % 100_000),
        "small" => write!(out, "{}", n % 16),
        "neg" => write!(out, "-{}", n),
        "big" => write!(out, "{}", n * 131),
        "float" => write!(out, "{}.{}", n % 100, n / 100 % 1000),
        "hex" => write!(out, "0x{:08x}", n as u32),
        "rawhex" => write!(out, "{:012x}", n | 1 << 44),
        "uuid" => write!(
            out,
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            n as u32,
            n >> 7 & 0xffff,
            n >> 9 & 0xfff,
            n >> 11 & 0xfff,
            n
        ),
        "ip" => write!(
            out,
            "{}.{}.{}.{}",
            n % 223 + 1,
            n >> 8 & 255,
            n >> 16 & 255,
            n >> 24 & 255
        ),
        "ipport" => write!(
            out,
            "10.{}.{}.{}:{}",
            n >> 8 & 255,
            n >> 16 & 255,
            n >> 24 & 255,
            n % 60_000 + 1024
        ),
        "time" => write!(out, "{:02}:{:02}:{:02}", n % 24, n / 24 % 60, n / 1440 % 60),
        "date" => write!(out, "2026-{:02}-{:02}", n % 12 + 1, n / 12 % 28 + 1),
        "slashdate" => write!(out, "26/{:02}/{:02}", n % 12 + 1, n / 12 % 28 + 1),
        "millis" => write!(out, "{:03}", n % 1000),
        "day" => write!(out, "{}", dice.pick(&DAYS)),
        "month" => write!(out, "{}", dice.pick(&MONTHS)),
        "path" => {
            for _ in 0..n % 4 + 1 {
                out.push('/');
                out.push_str(dice.pick(&FOLDERS));
            }
            write!(out, "/part-{:05}.log", n % 1000)
        }
        "route" => write!(out, "/v2/{:x}/servers/detail", n),
        "url" => write!(
            out,
            "https://api.example.com/v1/items/{}?page={}",
            n % 999,
            n % 7
        ),
        "user" => write!(out, "{}", dice.pick(&USERS)),
        "host" => write!(out, "{}", dice.pick(&HOSTS)),
        "class" => write!(out, "{}", dice.pick(&CLASSES)),
        "program" => write!(out, "{}", dice.pick(&PROGRAMS)),
        "reason" => write!(out, "{}", dice.pick(&REASONS)),
        "method" => write!(out, "{}", dice.pick(&["GET", "POST", "PUT"])),
        "thread" => write!(out, "{}-{}", dice.pick(&THREADS), n % 64),
        "bool" => write!(out, "{}", n.is_multiple_of(2)),
        "dur" => write!(
            out,
            "{}{}",
            n % 900,
            ["ms", "s", "us", "min"][(n >> 20) as usize % 4]
        ),
        "size" => write!(
            out,
            "{}.{} {}",
            n % 900,
            n % 10,
            ["B", "KB", "MB", "GB"][(n >> 20) as usize % 4]
        ),
        "list" => {
            for at in 0..n % 5 + 1 {
                if at > 0 {
                    out.push_str(", ");
                }
                out.push_str(&(n % (at * 97 + 100)).to_string());
            }
            Ok(())
        }
        "hashes" => write!(out, "{}##{}##{}##{}", n, n % 7_000, n % 500_000, n % 9_000),
        "node" => write!(
            out,
            "R{:02}-M{}-N{:X}-C:J{:02}-U{:02}",
            n % 77,
            n % 2,
            n % 16,
            n % 18,
            n % 12
        ),
        "quoted" => write!(out, "\"{} {}\"", dice.pick(&USERS), dice.pick(&REASONS)),
        other => panic!("no value is called {other}"),
    };
    written.expect("a string takes everything");
}

/// Adds a sentence with other values in it.
pub(crate) fn fill(sentence: &str, dice: &mut Dice, out: &mut String) {
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let (kind, after) = after.split_once('}').expect("a value is closed");
        out.push_str(before);
        value(kind, dice, out);
        rest = after;
    }
    out.push_str(rest);
}

/// Adds what stands before a sentence. Its level and class are its own.
pub(crate) fn head(system: &System, sentence: usize, dice: &mut Dice, out: &mut String) {
    let header = system
        .header
        .replace("{level}", LEVELS[sentence % LEVELS.len()])
        .replace("{class}", CLASSES[sentence % CLASSES.len()]);
    fill(&header, dice, out);
}

/// One of the sentences; the first ones are more frequent, as in real logs.
pub(crate) fn sentence(system: &System, dice: &mut Dice) -> usize {
    let count = system.sentences.len() as u64;
    let high = dice.roll(count) + 1;
    dice.roll(high) as usize
}

pub(crate) const SYSTEMS: [System; 14] = [
    System {
        name: "HDFS",
        header: "{slashdate} {time} {int} {level} dfs.DataNode$PacketResponder: ",
        sentences: &[
            "Receiving block blk_{neg} src: /{ipport} dest: /{ipport}",
            "BLOCK* addStoredBlock: blockMap updated: {ipport} is added to blk_{neg} size {int}",
            "PacketResponder {small} for block blk_{neg} terminating",
            "Received block blk_{neg} of size {int} from /{ip}",
            "Deleting block blk_{neg} file {path}",
            "Verification of blk_{neg} succeeded",
            "BLOCK* allocateBlock: {path}. blk_{neg}",
            "{ipport} Served block blk_{neg} to /{ip}",
            "BLOCK* delete: blk_{neg} is added to the invalid set of {ipport}",
            "{ipport}:Got exception while serving blk_{neg} to /{ip}:",
            "BLOCK* ask {ipport} to replicate blk_{neg} to {ipport}",
            "Received block blk_{neg} src: /{ipport} dest: /{ipport} of size {int}",
            "Unexpected error trying to delete block blk_{neg}. No such block in the volume map",
            "writeBlock blk_{neg} received exception java.io.IOException: {reason}",
        ],
    },
    System {
        name: "Hadoop",
        header: "{date} {time},{millis} {level} [{thread}] {class}: ",
        sentences: &[
            "Progress of TaskAttempt attempt_{int}_0001_m_{int}_0 is : {float}",
            "Address change detected. Old: {host}/{ipport} New: {host}:{int}",
            "Failed to renew the lease for [DFSClient_NONMAPREDUCE_{int}_1] for {int} seconds. Will retry shortly ...",
            "attempt_{int}_0001_m_{int}_0 TaskAttempt Transitioned from NEW to UNASSIGNED",
            "attempt_{int}_0001_m_{int}_0 TaskAttempt Transitioned from UNASSIGNED to ASSIGNED",
            "attempt_{int}_0001_m_{int}_0 TaskAttempt Transitioned from RUNNING to FAIL_CONTAINER_CLEANUP",
            "Retrying connect to server: {host}:{int}. Already tried {small} time(s)",
            "task_{int}_0001_m_{int} Task Transitioned from SCHEDULED to RUNNING",
            "Launching attempt_{int}_0001_m_{int}_0",
            "Opening proxy : {host}:{int}",
            "Shuffle port returned by ContainerManager for attempt_{int}_0001_m_{int}_0 : {int}",
            "After Scheduling: PendingReds:{small} ScheduledMaps:{small} AssignedMaps:{small} HostLocal:{small}",
            "Before Scheduling: PendingReds:{small} ScheduledMaps:{small} AssignedMaps:{small} HostLocal:{small}",
            "Reduce slow start threshold not met. completedMapsForReduceSlowstart {small}",
            "Error cleaning up task {class} after {dur}",
            "DefaultSpeculator.addSpeculativeAttempt -- we are speculating task_{int}_0001_m_{int}",
            "Auth successful for job_{int}_0001 (auth:SIMPLE)",
        ],
    },
    System {
        name: "Spark",
        header: "{slashdate} {time} {level} executor.Executor: ",
        sentences: &[
            "Found block rdd_{small}_{small} locally",
            "Running task {float} in stage {float} (TID {int})",
            "Finished task {float} in stage {float} (TID {int}). {int} bytes result sent to driver",
            "Got assigned task {int}",
            "Block broadcast_{small} stored as values in memory (estimated size {size}, free {size})",
            "Block broadcast_{small}_piece{small} stored as bytes in memory (estimated size {size}, free {size})",
            "Reading broadcast variable {small} took {int} ms",
            "Started reading broadcast variable {small}",
            "Times: total = {int}, boot = {int}, init = {int}, finish = {small}",
            "Input split: hdfs://{ipport}{path}:{int}+{int}",
            "mapreduce.task.id is deprecated. Instead, use mapreduce.task.attempt.id",
            "Changing view acls to: {user},{user}",
            "Changing modify acls to: {user},{user}",
            "Connecting to driver: spark://CoarseGrainedScheduler@{ipport}",
            "Starting executor ID {small} on host {host}",
            "Removing RDD {small}",
            "Driver {ipport} disassociated! Shutting down.",
        ],
    },
    System {
        name: "ZooKeeper",
        header: "{date} {time},{millis} - {level}  [WorkerReceiver{small}:QuorumCnxManager$SendWorker@{int}] - ",
        sentences: &[
            "Received connection request /{ipport}",
            "Connection broken for id {big}, my id = {small}, error =",
            "Interrupted while waiting for message on queue",
            "Notification time out: {int}",
            "Accepted socket connection from /{ipport}",
            "Closed socket connection for client /{ipport} which had sessionid {hex}",
            "Closed socket connection for client /{ipport} (no session established for client)",
            "caught end of stream exception",
            "Established session {hex} with negotiated timeout {int} for client /{ipport}",
            "Client attempting to establish new session at /{ipport}",
            "Expiring session {hex}, timeout of {int}ms exceeded",
            "Processed session termination for sessionid: {hex}",
            "Cannot open channel to {small} at election address /{ipport}",
            "Sending snapshot last zxid of peer is {hex} zxid of leader is {hex}",
            "Have smaller server identifier, so dropping the connection: ({small}, {small})",
            "Snapshotting: {hex} to {path}",
            "Reading snapshot {path}",
        ],
    },
    System {
        name: "OpenSSH",
        header: "{month} {small} {time} {host} sshd[{int}]: ",
        sentences: &[
            "Failed password for {user} from {ip} port {int} ssh2",
            "Failed password for invalid user {user} from {ip} port {int} ssh2",
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
            "pam_unix(sshd:auth): check pass; user unknown",
            "Invalid user {user} from {ip}",
            "input_userauth_request: invalid user {user} [preauth]",
            "Received disconnect from {ip}: 11: Bye Bye [preauth]",
            "Connection closed by {ip} [preauth]",
            "Accepted password for {user} from {ip} port {int} ssh2",
            "pam_unix(sshd:session): session opened for user {user} by (uid=0)",
            "pam_unix(sshd:session): session closed for user {user}",
            "reverse mapping checking getaddrinfo for {host} [{ip}] failed - POSSIBLE BREAK-IN ATTEMPT!",
            "Did not receive identification string from {ip}",
            "error: Received disconnect from {ip}: 3: com.jcraft.jsch.JSchException: Auth fail [preauth]",
            "Disconnecting: Too many authentication failures for {user} [preauth]",
            "fatal: Write failed: Connection reset by peer [preauth]",
            "PAM {small} more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}",
            "message repeated {small} times: [ Failed password for {user} from {ip} port {int} ssh2]",
        ],
    },
    System {
        name: "Linux",
        header: "{month} {small} {time} {host} ",
        sentences: &[
            "sshd(pam_unix)[{int}]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost={host} user={user}",
            "ftpd[{int}]: connection from {ip} ({host}) at {day} {month} {small} {time} 2026",
            "su(pam_unix)[{int}]: session opened for user {user} by (uid={int})",
            "su(pam_unix)[{int}]: session closed for user {user}",
            "kernel: klogd 1.4.1, log source = {path} started.",
            "kernel: CPU {small}: Intel Pentium III stepping {small}",
            "kernel: eth{small}: link up, {int}Mbps, full-duplex",
            "kernel: eth{small}: link down",
            "kernel: Out of memory: Killed process {int} ({program}).",
            "logrotate: ALERT exited abnormally with [{small}]",
            "snmpd[{int}]: Received SNMP packet(s) from {ip}",
            "syslogd {float}: restart.",
            "named[{int}]: lame server resolving '{host}' (in '{host}'?): {ip}#53",
            "kernel: usb {small}-{small}: new high speed USB device using ehci_hcd and address {small}",
            "cups: cupsd startup succeeded",
            "cups: cupsd shutdown succeeded",
            "crond[{int}]: ({user}) CMD ({path} --quiet)",
            "gdm[{int}]: Couldn't authenticate user",
        ],
    },
    System {
        name: "Apache",
        header: "[{day} {month} {small} {time} 2026] [{level}] ",
        sentences: &[
            "jk2_init() Found child {int} in scoreboard slot {small}",
            "workerEnv.init() ok {path}",
            "mod_jk child workerEnv in error state {small}",
            "[client {ip}] Directory index forbidden by rule: {path}",
            "jk2_init() Can't find child {int} in scoreboard",
            "mod_jk child init {small} -2",
            "[client {ip}] File does not exist: {path}",
            "[client {ip}] script not found or unable to stat: {path}",
            "caught SIGTERM, shutting down",
            "server reached MaxClients setting, consider raising the MaxClients setting",
        ],
    },
    System {
        name: "OpenStack",
        header: "nova-compute.log.{int} {date} {time}.{millis} {int} {level} nova.compute.manager [req-{uuid} {rawhex} {rawhex} - - -] ",
        sentences: &[
            "{ip} \"GET {route} HTTP/1.1\" status: {int} len: {int} time: {float}",
            "{ip} \"POST {route} HTTP/1.1\" status: {int} len: {int} time: {float}",
            "[instance: {uuid}] VM Started (Lifecycle Event)",
            "[instance: {uuid}] VM Stopped (Lifecycle Event)",
            "[instance: {uuid}] VM Paused (Lifecycle Event)",
            "[instance: {uuid}] During sync_power_state the instance has a pending task (spawning). Skip.",
            "[instance: {uuid}] Took {float} seconds to build instance.",
            "[instance: {uuid}] Took {float} seconds to spawn the instance on the hypervisor.",
            "[instance: {uuid}] Total memory: {int} MB, used: {float} MB",
            "[instance: {uuid}] memory limit: {float} MB, free: {float} MB",
            "[instance: {uuid}] vcpu limit not specified, defaulting to unlimited",
            "Active base files: {path}",
            "Removable base files: {path}",
            "image {uuid} at ({path}): checking",
            "image {uuid} at ({path}): in use: on this node {small} local, {small} on other nodes sharing this instance storage",
            "Unknown base file: {path}",
            "Final resource view: name={host} phys_ram={int}MB used_ram={int}MB phys_disk={int}GB used_disk={int}GB",
            "Creating event network-vif-plugged:{uuid} for instance {uuid}",
        ],
    },
    System {
        name: "BGL",
        header: "- {big} 2026.{small}.{small} {node} {date}-{time}.{millis} {node} RAS KERNEL {level} ",
        sentences: &[
            "instruction cache parity error corrected",
            "generating core.{int}",
            "{int} double-hummer alignment exceptions",
            "CE sym {small}, at {hex}, mask {hex}",
            "ciod: failed to read message prefix on control stream (CioStream socket to {ipport}",
            "ciod: Error loading {path}: invalid or missing program image, {reason}",
            "ciod: LOGIN chdir({path}) failed: {reason}",
            "total of {small} ddr error(s) detected and corrected",
            "{int} ddr errors(s) detected and corrected on rank {small}, symbol {small}, bit {small}",
            "ddr: excessive soft failures, consider replacing the card",
            "data TLB error interrupt",
            "machine check interrupt (bit={hex}): L2 dcache unit write read parity error",
            "core configuration register: {hex}",
            "rts: kernel terminated for reason {int}",
            "Node card VPD check: {node} node in processor card slot J{small} do not match. VPD ecid {rawhex}, found {rawhex}",
            "iar {hex} dear {hex}",
        ],
    },
    System {
        name: "Proxifier",
        header: "[{int}.{small} {time}] ",
        sentences: &[
            "{program} - {host}:{int} open through proxy {host}:{int} HTTPS",
            "{program} - {host}:{int} close, {int} bytes ({float} KB) sent, {int} bytes ({float} KB) received, lifetime {time}",
            "{program} - {host}:{int} error : Could not connect through proxy {host}:{int} - Proxy server cannot establish a connection with the target, status code {int}",
            "{program} *64 - {host}:{int} open through proxy {host}:{int} SOCKS5",
            "{program} - {host}:{int} close, {int} bytes sent, {int} bytes received, lifetime <1 sec",
            "open through proxy {host}:{int} of {program}",
        ],
    },
    System {
        name: "HealthApp",
        header: "{int}-{time}:{millis}|Step_LSC|{big}|",
        sentences: &[
            "calculateCaloriesWithCache totalCalories={int}",
            "onStandStepChanged {int}",
            "onExtend:{big} {small} {small} {small}",
            "getTodayTotalDetailSteps = {hashes}",
            "setTodayTotalDetailSteps={hashes}",
            "calculateAltitudeWithCache totalAltitude={int}",
            "REPORT : {int} {int} {int} {int}",
            "flush sensor data",
            "processHandleBroadcastAction action:android.intent.action.SCREEN_ON",
            "processHandleBroadcastAction action:android.intent.action.SCREEN_OFF",
            "upLoadOneMinuteDataToEngine time={int},{small},{small},{small},{small}",
            "saveHealthDetailData() saveOneDetailData fail hiHealthDetailData = {class},type = {int}",
            "initDataPrivacy the dataPrivacy is {bool}",
            "checkInsertStatus stepSyncOrNot {bool} heartRateSyncOrNot {bool}",
        ],
    },
    System {
        name: "Android",
        header: "{small}-{small} {time}.{millis}  {int}  {int} D WindowManager: ",
        sentences: &[
            "printFreezingDisplayLogsopening app wtoken = AppWindowToken({hex} token=Token({hex} ActivityRecord({hex} u0 {class} t{int}))), allDrawn= {bool}, startingDisplayed =  {bool}",
            "acquire lock={int}, flags=0x1, tag=\"View Lock\", name={class}, ws=null, uid={int}, pid={int}",
            "release:lock={int}, flg=0x0, tag=\"View Lock\", name={class}\", ws=null, uid={int}, pid={int}",
            "ready=true,policy={small},wakefulness={small},wksummary={hex},uasummary={hex},bootcompleted={bool}",
            "Skipping AppWindowToken({hex} token=Token({hex} ActivityRecord({hex} u0 {class} t{int}))) -- going to hide",
            "setSystemUiVisibility vis={hex} mask={hex} oldVal={hex} newVal={hex} diff={hex}",
            "getRunningAppProcesses: caller {int} does not hold REAL_GET_TASKS; limiting output",
            "cancelNotificationLocked called with key {int} and reason {small}",
            "interceptKeyTq keycode={int} interactive={bool} keyguardActive={bool} policyFlags={hex}",
            "Destroying surface Surface(name={class}) called by {class}.destroySurface:{int}",
            "updateClipping isOverlap:{bool}, getTopPaddingOverflow:{float}, Translation:{float}",
            "Failed to find provider info for {class}",
        ],
    },
    System {
        name: "Windows",
        header: "{date} {time}, Info                  CBS    ",
        sentences: &[
            "Loaded Servicing Stack v{float} with Core: {path}",
            "SQM: Initializing online with Windows opt-in: {bool}",
            "SQM: Cleaning up report files older than {int} days.",
            "SQM: Requesting upload of all unsent reports.",
            "Warning: Unrecognized packageExtended attribute.",
            "Session: {int}_{int} initialized by client WindowsUpdateAgent.",
            "Read out cached package applicability for package: Package_for_KB{int}~31bf3856ad364e35~amd64~~{float}, ApplicableState: {small}, CurrentState:{small}",
            "{rawhex}@{date}:{time}.{millis} CSI Transaction @{hex} initialized for deployment engine ({uuid}) with flags {hex} and client id [10]",
            "{rawhex}@{date}:{time}.{millis} CSI Transaction @{hex} destroyed",
            "Expecting attribute name [HRESULT = {hex} - CBS_E_MANIFEST_INVALID_ITEM]",
            "Failed to get next element [HRESULT = {hex} - CBS_E_MANIFEST_INVALID_ITEM]",
            "Performing {small} operations; {small} are not lock/unlock and follow: ({list})",
            "Trusted Installer is shutting down because: SHUTDOWN_REASON_AUTOSTOP",
            "Starting TrustedInstaller finalization.",
            "Ending TrustedInstaller finalization.",
            "NonStart: Set pending store consistency check.",
        ],
    },
    System {
        name: "Web",
        header: "{date}T{time}.{millis}Z {level} ",
        sentences: &[
            "{ip} - {user} [{int}/{month}/2026:{time} +0000] \"GET {route} HTTP/1.1\" {int} {int}",
            "request completed method={method} path={route} status={int} duration={dur} user={user}",
            "Executed query in {dur}: rows={int}",
            "Slow query ({dur}): {quoted}",
            "Cache miss for key session:{uuid}",
            "Cache hit for key session:{uuid}",
            "Worker {small} started (pid {int})",
            "Worker {small} exited with code {small}",
            "Connected to database {host}:{int} as {user}",
            "Lost connection to database {host}:{int}: {reason}",
            "Fetching {url} failed after {small} attempts",
            "Job {user} finished, {int} items, ids [{list}]",
            "Unhandled rejection: TypeError: Cannot read properties of undefined (reading '{user}')",
            "Listening on http://{host}:{int}",
            "mail to {user}@example.com queued as {rawhex}",
        ],
    },
];
