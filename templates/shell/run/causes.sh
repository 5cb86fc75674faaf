# Finds the cause of a failure in a program's output; sourced by run.sh, and prepended to probe.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

journal_mark=
error_log=/var/log/nginx/error.log
error_mark=0

# Marks the current end of the journal: later entries belong to this attempt.
mark_journal() {
    journal_mark=$(journalctl -q -n 1 --show-cursor -o cat 2>/dev/null)
    # The last line.
    case "$journal_mark" in *'-- cursor: '*) journal_mark=${journal_mark##*-- cursor: } ;; *) journal_mark= ;; esac
}

# journal UNIT: prints the unit's entries since mark_journal, including systemd's.
journal() {
    if [ -n "$journal_mark" ]; then
        journalctl -q -u "$1" --after-cursor "$journal_mark" --no-pager -o cat 2>/dev/null
    else
        journalctl -q -u "$1" -n 200 --no-pager -o cat 2>/dev/null
    fi
}

# Marks the current end of nginx's error log, the standard error of its master.
mark_errors() {
    error_log=/var/log/nginx/error.log
    if ! [ "/proc/$master/fd/2" -ef $error_log ]; then
        other=$(readlink "/proc/$master/fd/2" 2>/dev/null)
        if [ -f "$other" ]; then error_log=$other; fi
    fi
    error_mark=$(stat -c %s "$error_log" 2>/dev/null || echo 0)
}

# Prints nginx's error log since mark_errors.
nginx_errors() { tail -c "+$((error_mark + 1))" "$error_log" 2>/dev/null; }

# show_journal UNIT: like journal, but without Go stack traces and limited to 60 lines.
show_journal() {
    journal "$1" | awk '
        /^goroutine [0-9]+ / { stack = 1 }
        /^time=|^panic:|^\{|\.service|^Start|^Stop/ { stack = 0 }
        !stack && ++shown <= 60'
}

# why_registry UNIT: why a slot does not start; the container engine can be the cause.
why_registry() {
    reason=$({ journal "$1"; cat systemctl.log 2>/dev/null; } | cause)
    case "$reason" in
    'Dependency failed'* | 'A dependency job'* | 'Cannot connect to the Docker daemon'*)
        engine_reason=$(journal "$plan_engine" | cause)
        reason="$plan_engine does not run${engine_reason:+: $engine_reason}"
        ;;
    esac
    printf '%s' "$reason"
}

# why_nginx: why nginx fails, from its output on standard input, and which program has its port.
why_nginx() {
    reason=$(cause)
    case "$reason" in
    'bind() to '*'Address already in use'*)
        port=${reason#bind() to }
        port=${port%% failed*}
        program=$(ss -Hltnp "sport = :${port##*:}" 2>/dev/null | sed -n 's/.*(("\([^"]*\)".*/\1/p' | grep -vx nginx | head -n 1)
        reason="$reason${program:+; it is taken by $program}"
        ;;
    esac
    printf '%s' "$reason"
}

# why_apt UNFETCHED: why apt failed, and why the package lists are incomplete if that is the cause.
why_apt() {
    reason=$(cause <apt.log)
    case "$reason" in
    'Unable to locate package'* | *'no installation candidate'* | 'Failed to fetch'* | 'Unable to fetch'* | *'not going to be installed'* | *'not installable'*)
        reason="$reason${1:+; the package lists are incomplete: $1}"
        ;;
    # Usually the package's service, which is started right away, failed.
    *'installed '*' package post-installation script '*)
        package=${reason#*installed }
        package=${package%% package post-installation*}
        service_cause=$(journal "$package" | cause)
        [ -z "$service_cause" ] || reason="$package was unpacked, but its service does not start: $service_cause"
        ;;
    esac
    printf '%s' "$reason"
}

# why_program FILE: why the registry does not print its version, from its output.
why_program() {
    reason=$(cause <"$1")
    if [ "$plan_engine" != - ]; then
        built_for=$("$plan_engine" image inspect --format '{{.Architecture}}' "$plan_image" 2>/dev/null)
        here=$(dpkg --print-architecture | sed 's/armhf/arm/; s/i386/386/; s/ppc64el/ppc64le/')
        case "$built_for" in
        "$here" | '') ;;
        # An engine can lose the last words of a program that ends at once.
        *) reason="${reason:+$reason; }the image is for $built_for, and this server is $here" ;;
        esac
    fi
    printf '%s' "${reason:-it says nothing}"
}

# Why nginx did not reload, or did not start.
why_reload() {
    {
        nginx_errors
        [ ! -e systemctl.log ] || cat systemctl.log
        [ "${master:-0}" != 0 ] || journal nginx
    } | why_nginx
}

# cause: reads what programs said and prints the line that names the cause, unwrapped and shortened
# in its middle; nothing when there is none. Lines are ranked, and the first of the highest rank
# counts. Go's errors put what happened to whom first and why last.
cause() {
    LC_ALL=C awk '
    # take RANK TEXT: remembers the first text of the highest rank.
    function take(rank, text) {
        if (rank > best || (rank == best && rank == 1)) { best = rank; found = text }
    }
    # value LINE KEY: a field of a line by logrus, as text or JSON, its quoting undone.
    function value(line, key,    at, rest, out, c) {
        if ((at = index(" " line, " " key "="))) rest = substr(line, at + length(key) + 1)
        else if ((at = index(line, "\"" key "\":"))) rest = substr(line, at + length(key) + 3)
        else return ""
        if (substr(rest, 1, 1) != "\"") { sub(/[ ,}].*/, "", rest); return rest }
        for (rest = substr(rest, 2, 4000); (c = substr(rest, 1, 1)) != "" && c != "\""; rest = substr(rest, 2)) {
            if (c == "\\") {
                rest = substr(rest, 2)
                c = substr(rest, 1, 1)
                if (c ~ /[nrt]/) c = " "
            }
            out = out c
        }
        return out
    }
    function message(line,    text) {
        text = value(line, "err.detail")
        if (text == "" || text ~ /^map\[|^\{/) text = value(line, "err.message")
        if (text == "" || text ~ /^response completed/) text = value(line, "msg")
        if (text == "") text = value(line, "message")
        return text
    }
    # What the container engines, systemd, nginx and apt put in front of the cause.
    function unwrap(text) {
        sub(/^nginx: /, "", text)
        sub(/^([0-9\/]+ [0-9:]+ )?\[[a-z]+\] ([0-9]+#[0-9]+: )?(\*[0-9]+ )?/, "", text)
        sub(/^[^ ]+\.service: /, "", text)
        sub(/^E: |^W: |^N: /, "", text)
        while (sub(/^(docker: |podman: |Error: |error: |Error response from daemon: |failed to create (shim )?task[^:]*: |OCI runtime create failed: |OCI runtime error: |runc create failed: |crun: |runc: |container_linux.go:[0-9]+: |starting container process caused: |unable to start container process: )/, "", text)) ;
        sub(/: unknown\.?$/, "", text)
        sub(/: OCI runtime (attempted to invoke a command that was not found|permission denied)$/, "", text)
        sub(/^preparing container [0-9a-f]+ for attach: /, "", text)
        # Queries of addresses are long, say nothing and may be signed.
        gsub(/\?[^ "]*=[^ "]*/, "", text)
        gsub(/[\t\r\n ]+/, " ", text)
        sub(/^ /, "", text)
        sub(/[ :]+$/, "", text)
        return text
    }
    # The beginning says what failed, the end why: both stay.
    function shorten(text,    head, tail) {
        if (length(text) <= 300) return text
        head = substr(text, 1, 110)
        tail = substr(text, length(text) - 180)
        sub(/ [^ ]*$/, "", head)
        sub(/^[^ ]* /, "", tail)
        return head " ... " tail
    }
    { line = substr($0, 1, 8000) }
    after != "" {
        if (after == "dpkg") take(76, package line)
        else { sub(/^ +/, "", line); take(78, line " is on hold; release it with: apt-mark unhold " line) }
        after = ""
        next
    }
    line ~ /killed by the OOM killer|Failed with result .oom-kill|^fatal error: runtime: (cannot allocate|out of memory)/ {
        take(100, "it ran out of memory and was killed"); next
    }
    line ~ /^panic: |^fatal error: / { sub(/^(panic|fatal error): /, "", line); sub(/ \[recovered\]$/, "", line); take(90, line); next }
    line ~ /^goroutine [0-9]+ / { stack = 1 }
    line ~ /^time=|^\{|\.service|^Start|^Stop/ { stack = 0 }
    stack { next }
    line ~ /^configuration error/ { take(80, line); next }
    line ~ /(^| )level=[a-z]|"level":"/ {
        severity = value(line, "level")
        if (line ~ /moorage-health/ && line ~ /name unknown/) next
        if (severity ~ /^(fatal|panic)$/) take(85, message(line))
        else if (severity == "error") take(message(line) ~ /[Nn]o such container/ ? 0 : line ~ /exec container process/ ? 70 : 50, message(line))
        next
    }
    line ~ /\[emerg\]/ {
        if (line !~ /still could not bind/) take(75, line)
        else take(20, line)
        next
    }
    line ~ /\[(alert|crit)\]/ { take(55, line); next }
    line ~ /\[error\] [0-9]+#/ { sub(/, client: .*/, "", line); take(15, line); next }
    line ~ /^nginx: configuration file .* test|\[(warn|notice|info)\]/ { next }
    line ~ /^dpkg: error processing / {
        package = line
        sub(/^dpkg: error processing (package |archive )?/, "", package)
        sub(/ \(--[a-z-]*\)/, "", package)
        package = package " "
        after = "dpkg"
        next
    }
    line ~ /^The following held packages will be changed/ { after = "held"; next }
    line ~ /^ [a-z0-9.+-]+ : (Depends|PreDepends|Conflicts|Breaks): / { sub(/^ /, "", line); take(74, line); next }
    line ~ /^E: (Sub-process|Unable to correct problems|Unable to fetch some archives|Held packages were changed)/ { take(20, line); next }
    line ~ /^E: / { take(72, line); next }
    line ~ /^W: .*(Failed to fetch|Could not|Temporary failure|Unable)/ { take(40, line); next }
    line ~ /[Nn]o such container|no container with (name|ID)|^See .docker|[^ ]* --help.?\.?$/ { next }
    line ~ /^(docker|podman|Error|error): |^Error |^Cannot connect to the Docker daemon|^exec [^ ]*: |^failed to start daemon|^unable to configure the Docker daemon/ { take(70, line); next }
    line ~ /\.service: (Failed at step|Failed to (load|determine|set|run|spawn|execute|attach|fork))/ { take(60, line); next }
    line ~ /\.service: Main process exited, code=(killed|dumped)/ {
        sub(/.*status=[0-9]*\//, "", line); take(30, "it was killed by signal " line); next
    }
    line ~ /Main process exited, code=exited, status=137/ { take(30, "its container was killed, as happens when memory runs out"); next }
    line ~ /Main process exited, code=exited/ { sub(/.*status=/, "", line); sub(/\/.*/, "", line); take(25, "it ended with status " line); next }
    line ~ /^Dependency failed for |Job for .* failed/ { take(22, line); next }
    line ~ /\.service: |^(Started|Starting|Failed to start|Stopped|Stopping|Usage:|Flags:|  -h) *|^[0-9-]+ [0-9:.]+ \+0000 UTC m=/ { next }
    line ~ /[^ \t]/ { take(1, line) }
    END { if (best) printf "%s", shorten(unwrap(found)) }'
}
