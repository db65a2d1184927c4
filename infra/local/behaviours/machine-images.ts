import { ArmError, notImplemented } from '../arm/arm-error.ts';
import { type JsonObject, textAt } from '../arm/json.ts';

/**
 * The marketplace images Local Azure takes: those of the publishers below, by rule and not by list. They have no content
 * here: the disk made from one is empty.
 */
interface Publisher {
  readonly name: RegExp;
  readonly osType: 'Linux' | 'Windows';
}

const PUBLISHERS: readonly Publisher[] = [
  { name: /^MicrosoftWindows(Server|Desktop)$|^MicrosoftSQLServer$/i, osType: 'Windows' },
  {
    name: /^(Canonical|Debian|credativ|RedHat|SUSE|OpenLogic|Oracle|almalinux|resf|kinvolk)$/i,
    osType: 'Linux',
  },
  { name: /^(MicrosoftCBLMariner|microsoft-aks)$/i, osType: 'Linux' },
];

export function isKnownPublisher(name: string): boolean {
  return PUBLISHERS.some((each) => each.name.test(name));
}

/** Offers whose SKUs are known one by one; of the others any word is taken. */
const KNOWN_SKUS: Readonly<Record<string, readonly string[]>> = {
  'debian-12': ['12', '12-gen2', '12-backports', '12-backports-gen2', '12-arm64'],
  'debian-13': ['13', '13-gen2', '13-arm64'],
};

/** Generation 2 says so in its SKU, or is of an offer that is nothing else unless it says `gen1`. */
function generationOf(offer: string, sku: string): 'V1' | 'V2' {
  if (/gen2|-g2$|arm64|azure-edition/i.test(sku)) return 'V2';
  const isNew = /^ubuntu-2[4-9]_|^windows-1[1-9]|azure-linux/i.test(offer) || /^2025-/.test(sku);
  return isNew && !/gen1|-g1$/i.test(sku) ? 'V2' : 'V1';
}

export function resolveImage(reference: JsonObject): {
  readonly reference: JsonObject;
  readonly generation: 'V1' | 'V2';
  readonly osType: 'Linux' | 'Windows';
} {
  const [publisher, offer, sku, version] = ['publisher', 'offer', 'sku', 'version'].map(
    (field) => textAt(reference, field) ?? '',
  ) as [string, string, string, string];
  const ofGallery = ['id', 'sharedGalleryImageId', 'communityGalleryImageId'].find(
    (field) => textAt(reference, field) !== undefined,
  );
  if (publisher === '' && ofGallery !== undefined)
    throw notImplemented(`a VM of an image that is not of the marketplace (imageReference.${ofGallery})`);
  const known = PUBLISHERS.find((each) => each.name.test(publisher));
  const skus = KNOWN_SKUS[offer.toLowerCase()];
  const isSku = skus === undefined ? /^[\w.-]+$/.test(sku) : skus.includes(sku.toLowerCase());
  if (known === undefined || !isSku || !/^[\w.-]+$/.test(offer)) {
    throw new ArmError(
      404,
      'PlatformImageNotFound',
      `The platform image '${publisher}:${offer}:${sku}:${version}' is not available. Verify that all fields in the ` +
        'storage profile are correct. For more details about storage profile information, please refer to ' +
        'https://aka.ms/storageprofile',
      'imageReference',
    );
  }
  return {
    reference: { publisher, offer, sku, version, exactVersion: version === 'latest' ? '1.0.0' : version },
    generation: generationOf(offer, sku),
    osType: known.osType,
  };
}
