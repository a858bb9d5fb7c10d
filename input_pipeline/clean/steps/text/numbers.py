"""Numbers that carry a check: which strings of digits are a payment card's or a bank account's."""

import re

# First digits and lengths of the issuers, ISO/IEC 7812: Visa, Mastercard, American Express, Discover, Diners Club, JCB,
# UnionPay, Maestro. https://en.wikipedia.org/wiki/Payment_card_number
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12,15}|3(?:0[0-5]|[689]\d)\d{11,16}|35(?:2[89]|[3-8]\d)\d{12,15}|62\d{14,17}"
    r"|(?:50|5[6-8]|6[37])\d{10,17}"
).fullmatch
# Characters of an IBAN by country: SWIFT, "IBAN Registry" (ISO 13616), release 99.
_LENGTHS = {
    **dict(AD=24, AE=23, AL=28, AT=20, AZ=28, BA=20, BE=16, BG=22, BH=22, BI=27, BR=29, BY=28, CH=21, CR=22, CY=28),
    **dict(CZ=24, DE=22, DJ=27, DK=18, DO=28, EE=20, EG=29, ES=24, FI=18, FK=18, FO=18, FR=27, GB=22, GE=22, GI=23),
    **dict(GL=18, GR=27, GT=28, HR=21, HU=28, IE=22, IL=23, IQ=23, IS=26, IT=27, JO=30, KW=30, KZ=20, LB=28, LC=32),
    **dict(LI=21, LT=20, LU=20, LV=21, LY=25, MC=27, MD=24, ME=22, MK=19, MN=20, MR=27, MT=31, MU=30, NI=28, NL=18),
    **dict(NO=15, OM=23, PK=24, PL=28, PS=29, PT=25, QA=29, RO=24, RS=22, RU=33, SA=24, SC=31, SD=18, SE=24, SI=19),
    **dict(SK=24, SM=27, SO=23, ST=25, SV=28, TL=23, TN=24, TR=26, UA=29, VA=22, VG=24, XK=20, YE=30),
}


def is_card(digits: str) -> bool:
    """Whether these digits are of a known issuer, and their check digit is right."""
    return bool(_ISSUERS(digits)) and luhn(digits)


def luhn(digits: str) -> bool:
    """Luhn's check: ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def iban_end(text: str) -> int:
    """How many characters of `text`, its spaces included, are an IBAN; 0 if it does not begin with one."""
    length, end = _LENGTHS.get(text[:2], 0), 0
    for count, place in enumerate(re.finditer(r"[A-Z0-9]", text), start=1):
        if count == length:
            end = place.end()
    return end if end and mod_97(text[:end].replace(" ", "")) == 1 else 0


def mod_97(iban: str) -> int:
    """The remainder that is 1 for a valid IBAN: ISO 7064, MOD 97-10."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97
