#Requires -RunAsAdministrator
<#
.SYNOPSIS
Takes away what install.ps1 has installed. What was configured and collected
stays, unless -Purge is given: then that goes, too, from the default places.
.EXAMPLE
powershell -ExecutionPolicy Bypass -File .\uninstall.ps1
#>
[CmdletBinding()]
param([switch]$Purge)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$agent = Get-ItemProperty -Path 'HKLM:\SOFTWARE\Datadog\Datadog Agent' -ErrorAction SilentlyContinue
$data = Join-Path $env:ProgramData 'Datadog'
if ($agent -and $agent.PSObject.Properties['ConfigRoot'] -and $agent.ConfigRoot) { $data = $agent.ConfigRoot }
$folder = Join-Path $data 'conf.d\atlassian_audit_records.d'

$gone = @(
    (Join-Path $env:ProgramFiles 'atlassian-audit-records'),
    (Join-Path $data 'checks.d\atlassian_audit_records.py'),
    (Join-Path $data 'checks.d\libdatadog-agent-atlassian_audit_records.dll'),
    (Join-Path $folder 'conf.yaml.example')
)
$kept = @($folder, (Join-Path $data 'run\atlassian_audit_records'))
if ($Purge) { $gone += $kept; $kept = @() }
foreach ($path in $gone) {
    if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Recurse -Force }
}
foreach ($path in $kept) {
    if (Test-Path -LiteralPath $path) { Write-Output "$path is kept." }
}
