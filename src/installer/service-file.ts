import type { Launch } from "../platform/launch.ts";

export interface ServiceFacts {
  readonly launch: Launch;
  readonly home: string;
  /** PATH as it is now: services get another one, without `claude`. */
  readonly path: string;
  readonly stopSeconds: number;
}

export const unitName = "shim.service";
export const agentName = "shim.supervisor";
/** Only a file with this mark is removed. */
export const ownMark = "Written by `shim worker service install`.";
const untested = "Untested: the authors of SHIM have no machine of this kind.";

export function systemdUnit({ launch, home, path, stopSeconds }: ServiceFacts): string {
  return `# ${ownMark} The next install overwrites changes.
[Unit]
Description=SHIM supervisor: keeps AI chat sessions running
StartLimitIntervalSec=900
StartLimitBurst=10

[Service]
Type=exec
ExecStart=/usr/bin/env ${execWord(launch.node)} ${execWord(launch.script)} worker supervise
Environment=${unitWord(`SHIM_HOME=${home}`)}
Environment=${unitWord(`PATH=${path}`)}
Restart=on-failure
RestartSec=5
# A restart does not fix wrong or missing settings, or an old Node.
RestartPreventExitStatus=2 3 78
# The supervisor ends what it runs; what is left after that is killed.
KillMode=mixed
TimeoutStopSec=${stopSeconds}

[Install]
WantedBy=default.target
`;
}

/** systemd.syntax(7): quotes and backslashes are escaped; % begins a specifier. */
function unitWord(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}"`;
}

/** systemd.service(5): $ begins a variable, but a first word may hold no quotes: hence env. */
function execWord(text: string): string {
  return unitWord(text).replaceAll("$", "$$$$");
}

export function launchdAgent({ launch, home, path, stopSeconds }: ServiceFacts): string {
  const words = [launch.node, launch.script, "worker", "supervise"].map((word) => `    <string>${xml(word)}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${ownMark} ${untested} -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${agentName}</string>
  <key>ProgramArguments</key>
  <array>
${words.join("\n")}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>SHIM_HOME</key>
    <string>${xml(home)}</string>
    <key>PATH</key>
    <string>${xml(path)}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>${stopSeconds}</integer>
  <key>StandardOutPath</key>
  <string>${xml(`${home}/supervisor.log`)}</string>
  <key>StandardErrorPath</key>
  <string>${xml(`${home}/supervisor.log`)}</string>
</dict>
</plist>
`;
}

/** [SU15] The Windows Task Scheduler sets no environment: SHIM_HOME must be a user variable. */
export function scheduledTask({ launch }: ServiceFacts): string {
  return `<?xml version="1.0"?>
<!-- ${ownMark} ${untested} -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>SHIM supervisor: keeps AI chat sessions running</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <Enabled>true</Enabled>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>10</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>${xml(launch.node)}</Command>
      <Arguments>"${xml(launch.script)}" worker supervise</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

function xml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
