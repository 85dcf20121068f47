#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs the check for the Datadog Agent of this machine, or a newer version over
an older one. What was configured and collected stays.
.EXAMPLE
powershell -ExecutionPolicy Bypass -File .\install.ps1
#>
[CmdletBinding()]
param()
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$agent = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Datadog\Datadog Agent' -ErrorAction SilentlyContinue
$data = Join-Path $env:ProgramData 'Datadog'
$user = 'ddagentuser'
if ($agent) {
    if ($agent.PSObject.Properties['ConfigRoot'] -and $agent.ConfigRoot) { $data = $agent.ConfigRoot }
    if ($agent.PSObject.Properties['installedUser'] -and $agent.installedUser) {
        $user = $agent.installedUser
        if ($agent.PSObject.Properties['installedDomain'] -and $agent.installedDomain) { $user = $agent.installedDomain + '\' + $user }
    }
}
if (-not (Test-Path -LiteralPath $data -PathType Container)) {
    throw "$data is not there: install the Datadog Agent first."
}
$programs = Join-Path $env:ProgramFiles 'atlassian-audit-records'
$checks = Join-Path $data 'checks.d'
$folder = Join-Path $data 'conf.d\atlassian_audit_records.d'
foreach ($path in $programs, $checks, $folder) {
    if (-not (Test-Path -LiteralPath $path)) { New-Item -ItemType Directory -Path $path | Out-Null }
}

# Rights come from the folders: below Program Files everybody may run and only
# administrators may write, below the Agent's folder only it and administrators read.
foreach ($name in 'atlassian-audit-records.exe', 'atlassian-audit-records-run.exe', 'atlassian-audit-records-shared.exe') {
    $target = Join-Path $programs $name
    # A program that is running cannot be replaced, but it can be moved aside.
    if (Test-Path -LiteralPath $target) {
        Get-ChildItem -LiteralPath $programs -Filter "$name.*.old" | Remove-Item -Force -ErrorAction SilentlyContinue
        Move-Item -LiteralPath $target -Destination ('{0}.{1}.old' -f $target, [guid]::NewGuid().ToString('N'))
    }
    Copy-Item -LiteralPath (Join-Path $PSScriptRoot $name) -Destination $target
    Unblock-File -LiteralPath $target
}
Copy-Item -Force -LiteralPath (Join-Path $PSScriptRoot 'atlassian_audit_records.py') -Destination $checks
Copy-Item -Force -LiteralPath (Join-Path $PSScriptRoot 'conf.yaml.example') -Destination $folder

# The Agent loads a library only where nobody but it and administrators have rights to it.
$library = Join-Path $PSScriptRoot 'libdatadog-agent-atlassian_audit_records.dll'
if (Test-Path -LiteralPath $library) {
    $target = Join-Path $checks (Split-Path -Leaf $library)
    Copy-Item -Force -LiteralPath $library -Destination $target
    Unblock-File -LiteralPath $target
    & icacls.exe $target /setowner '*S-1-5-32-544' /q
    if ($LASTEXITCODE -ne 0) { throw "icacls could not give $target to the administrators." }
    & icacls.exe $target /inheritance:r /grant:r '*S-1-5-32-544:F' '*S-1-5-18:F' "${user}:RX" /q
    if ($LASTEXITCODE -ne 0) { throw "icacls could not set the rights to $target." }
}

Write-Output 'Installed. Next:'
Write-Output "  & '$programs\atlassian-audit-records.exe' setup"
Write-Output '  Restart-Service -Force datadogagent'
