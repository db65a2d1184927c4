/**
 * What Windows tells of itself, as one document. Numbers and names of classes only, never texts that depend on the
 * language; a class that a Windows does not have (no BitLocker, no iSCSI) gives an empty list. It changes nothing.
 * When Windows was started is told by its first process: LastBootUpTime moves whenever somebody sets the clock.
 */
export const INVENTORY_SCRIPT = `
function All([string]$space, [string]$class, [string[]]$names) {
  try { $found = @(Get-CimInstance -Namespace $space -ClassName $class -ErrorAction Stop) } catch { return }
  foreach ($one in $found) {
    $row = @{}
    foreach ($name in $names) {
      $value = $one.$name
      if ($value -is [char]) { $value = [int]$value }
      $row[$name] = $value
    }
    $row
  }
}
function Reg([string]$key, [string]$name) {
  $item = Get-ItemProperty -LiteralPath $key -ErrorAction SilentlyContinue
  if ($item) { return $item.$name }
}
$storage = 'root/Microsoft/Windows/Storage'
$set = 'HKLM:\\SYSTEM\\CurrentControlSet'
$os = Get-CimInstance -ClassName Win32_OperatingSystem
$computer = Get-CimInstance -ClassName Win32_ComputerSystem
$first = Get-CimInstance -ClassName Win32_Process -Filter "Name='smss.exe'" | Sort-Object CreationDate | Select-Object -First 1
$booted = if ($first -and $first.CreationDate) { $first.CreationDate } else { $os.LastBootUpTime }
$epoch = [DateTime]::new(1970, 1, 1, 0, 0, 0, [DateTimeKind]::Utc)
$drivers = @{}
foreach ($name in 'storvsc', 'vmbus', 'storflt', 'intelide', 'atapi') {
  $key = "$set\\Services\\$name"
  if (Test-Path -LiteralPath $key) {
    $over = Get-ItemProperty -LiteralPath "$key\\StartOverride" -ErrorAction SilentlyContinue
    $drivers[$name] = @{
      start = Reg $key 'Start'
      override = if ($over) { @($over.PSObject.Properties | Where-Object { $_.Name -match '^\\d+$' } | ForEach-Object { $_.Value }) } else { @() }
    }
  }
}
$updates = 'HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion'
$pending = @()
if (Test-Path "$updates\\Component Based Servicing\\RebootPending") { $pending += 'servicing' }
if (Test-Path "$updates\\WindowsUpdate\\Auto Update\\RebootRequired") { $pending += 'update' }
if (Reg "$set\\Control\\Session Manager" 'PendingFileRenameOperations') { $pending += 'renames' }
$shares = @(Get-ChildItem -Path 'Registry::HKEY_USERS\\*\\Network\\*' -ErrorAction SilentlyContinue | ForEach-Object {
  @{ letter = $_.PSChildName; remote = [string]$_.GetValue('RemotePath') }
})
$services = @(Get-CimInstance -ClassName Win32_Service | Where-Object {
  $_.Name -eq 'ClusSvc' -or $_.DisplayName -match 'CLUSTERPRO|EXPRESSCLUSTER' } | ForEach-Object {
  @{ name = $_.Name; displayName = $_.DisplayName; startMode = $_.StartMode; state = $_.State }
})
$teams = @(All 'root/StandardCimv2' 'MSFT_NetLbfoTeam' @('Name'))
$members = @(All 'root/StandardCimv2' 'MSFT_NetLbfoTeamMember' @('Name', 'Team'))
$teamed = @($teams | ForEach-Object {
  $team = $_.Name
  @{ name = $team; kind = 'lbfo'; members = @($members | Where-Object { $_.Team -eq $team } | ForEach-Object { $_.Name }) }
})
if (Get-Command -Name 'Get-VMSwitch' -ErrorAction SilentlyContinue) {
  try {
    $teamed += @(Get-VMSwitch -ErrorAction Stop | Where-Object { $_.EmbeddedTeamingEnabled } | ForEach-Object {
      @{ name = $_.Name; kind = 'set'; members = @($_.NetAdapterInterfaceDescriptions) }
    })
  } catch { }
}
$adapters = @(All 'root/CIMV2' 'Win32_NetworkAdapter' @('Index', 'NetConnectionID'))
$nics = @(Get-CimInstance -ClassName Win32_NetworkAdapterConfiguration -Filter 'IPEnabled=TRUE' | ForEach-Object {
  $one = $_
  @{
    index = $one.Index
    name = [string](@($adapters | Where-Object { $_.Index -eq $one.Index })[0].NetConnectionID)
    description = $one.Description
    mac = $one.MACAddress
    addresses = @($one.IPAddress)
    masks = @($one.IPSubnet)
    gateways = @($one.DefaultIPGateway)
    dnsServers = @($one.DNSServerSearchOrder)
    dnsDomain = $one.DNSDomain
    dhcp = $one.DHCPEnabled
    metric = $one.IPConnectionMetric
  }
})
@{
  os = @{
    name = $os.Caption; version = $os.Version; build = $os.BuildNumber; productType = $os.ProductType
    language = $os.OSLanguage; bootedMs = [long]($booted.ToUniversalTime() - $epoch).TotalMilliseconds
  }
  hostName = [string]$computer.DNSHostName
  firmwareType = Reg "$set\\Control" 'PEFirmwareType'
  disks = @(All $storage 'MSFT_Disk' @('Number', 'FriendlyName', 'SerialNumber', 'UniqueId', 'Size', 'LogicalSectorSize',
    'PartitionStyle', 'Guid', 'Signature', 'BusType', 'IsBoot', 'IsSystem', 'IsOffline', 'IsReadOnly', 'IsClustered'))
  partitions = @(All $storage 'MSFT_Partition' @('DiskNumber', 'PartitionNumber', 'Offset', 'Size', 'GptType', 'MbrType',
    'DriveLetter', 'AccessPaths', 'IsBoot', 'IsSystem'))
  volumes = @(All $storage 'MSFT_Volume' @('UniqueId', 'DriveLetter', 'DriveType', 'FileSystem', 'Size', 'SizeRemaining'))
  bitlocker = @(All 'root/CIMV2/Security/MicrosoftVolumeEncryption' 'Win32_EncryptableVolume' @(
    'DeviceID', 'ProtectionStatus', 'ConversionStatus'))
  iscsiSessions = @(All $storage 'MSFT_iSCSISession' @('IsConnected', 'TargetNodeAddress'))
  nics = $nics
  teams = $teamed
  drivers = $drivers
  pendingReboot = $pending
  cluster = @{ hive = Test-Path 'HKLM:\\Cluster'; services = $services }
  shares = $shares
  timeZone = [TimeZoneInfo]::Local.Id
  utcOffsetMinutes = [int][TimeZoneInfo]::Local.GetUtcOffset([DateTime]::UtcNow).TotalMinutes
  clockMs = [long]([DateTime]::UtcNow - $epoch).TotalMilliseconds
  diskshadow = Test-Path "$env:SystemRoot\\System32\\diskshadow.exe"
}
`;
