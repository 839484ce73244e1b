//! The types of columns: what all have, and what is particular to each.

use super::Plain::{EmptyLabel, EmptyList, Given, Managed, No, Null, Text, Yes, Zero};
use super::{Link, Plain, Type};

pub(in crate::metadata) static ATTRIBUTE: Type = Type {
    name: "AttributeMetadata",
    base: None,
    properties: &[
        ("MetadataId", Given),
        ("LogicalName", Given),
        ("SchemaName", Given),
        ("DisplayName", Given),
        ("EntityLogicalName", Given),
        ("AttributeOf", Given),
        ("AttributeType", Given),
        ("AttributeTypeName", Given),
        ("ColumnNumber", Given),
        ("IsCustomAttribute", Given),
        ("IsLogical", Given),
        ("IsManaged", Given),
        ("IsPrimaryId", Given),
        ("IsPrimaryName", Given),
        ("IsValidForCreate", Given),
        ("IsValidForUpdate", Given),
        ("RequiredLevel", Given),
        ("AutoNumberFormat", Null),
        ("CanBeSecuredForCreate", No),
        ("CanBeSecuredForRead", No),
        ("CanBeSecuredForUpdate", No),
        ("DeprecatedVersion", Null),
        ("Description", EmptyLabel),
        ("ExternalName", Null),
        ("HasChanged", Null),
        ("InheritsFrom", Null),
        ("IntroducedVersion", Text("5.0.0.0")),
        ("IsDataSourceSecret", No),
        ("IsFilterable", No),
        ("IsRequiredForForm", No),
        ("IsRetrievable", No),
        ("IsSearchable", No),
        ("IsSecured", No),
        ("IsValidForForm", Yes),
        ("IsValidForGrid", Yes),
        ("IsValidForRead", Yes),
        ("IsValidODataAttribute", Yes),
        ("LinkedAttributeId", Null),
        ("Settings", EmptyList),
        ("SourceType", Zero),
        (
            "CanModifyAdditionalSettings",
            Managed(true, "canmodifyadditionalsettings"),
        ),
        ("IsAuditEnabled", Managed(true, "canmodifyauditsettings")),
        ("IsCustomizable", Managed(true, "iscustomizable")),
        (
            "IsGlobalFilterEnabled",
            Managed(false, "canmodifyglobalfiltersettings"),
        ),
        ("IsRenameable", Managed(true, "isrenameable")),
        (
            "IsSortableEnabled",
            Managed(false, "canmodifyissortablesettings"),
        ),
        (
            "IsValidForAdvancedFind",
            Managed(true, "canmodifysearchsettings"),
        ),
    ],
    links: &[],
};

const fn attribute(
    name: &'static str,
    properties: &'static [(&'static str, Plain)],
    links: &'static [(&'static str, Link)],
) -> Type {
    Type {
        name,
        base: Some(&ATTRIBUTE),
        properties,
        links,
    }
}

const CHOICES: &[(&str, Link)] = &[
    ("OptionSet", Link::OptionSet),
    ("GlobalOptionSet", Link::GlobalOptionSet),
];

pub(in crate::metadata) static STRING: Type = attribute(
    "StringAttributeMetadata",
    &[
        ("MaxLength", Given),
        ("Format", Given),
        ("FormatName", Given),
        ("DatabaseLength", Given),
        ("FormulaDefinition", Null),
        ("ImeMode", Text("Auto")),
        ("IsLocalizable", No),
        ("SourceTypeMask", Zero),
        ("YomiOf", Null),
    ],
    &[],
);
pub(in crate::metadata) static MEMO: Type = attribute(
    "MemoAttributeMetadata",
    &[
        ("MaxLength", Given),
        ("Format", Given),
        ("FormatName", Given),
        ("ImeMode", Text("Auto")),
        ("IsLocalizable", No),
    ],
    &[],
);
pub(in crate::metadata) static INTEGER: Type = attribute(
    "IntegerAttributeMetadata",
    &[
        ("MinValue", Given),
        ("MaxValue", Given),
        ("Format", Text("None")),
        ("FormulaDefinition", Null),
        ("SourceTypeMask", Zero),
    ],
    &[],
);
pub(in crate::metadata) static BIG_INT: Type = attribute(
    "BigIntAttributeMetadata",
    &[("MinValue", Given), ("MaxValue", Given)],
    &[],
);
pub(in crate::metadata) static DECIMAL: Type = attribute("DecimalAttributeMetadata", SCALED, &[]);
pub(in crate::metadata) static DOUBLE: Type = attribute("DoubleAttributeMetadata", SCALED, &[]);
const SCALED: &[(&str, Plain)] = &[
    ("MinValue", Given),
    ("MaxValue", Given),
    ("Precision", Given),
    ("ImeMode", Text("Auto")),
];
pub(in crate::metadata) static MONEY: Type = attribute(
    "MoneyAttributeMetadata",
    &[
        ("MinValue", Given),
        ("MaxValue", Given),
        ("Precision", Given),
        ("IsBaseCurrency", Given),
        ("CalculationOf", Given),
        // Zero: the column's own precision holds, not the currency's.
        ("PrecisionSource", Zero),
        ("ImeMode", Text("Auto")),
    ],
    &[],
);
pub(in crate::metadata) static DATE_TIME: Type = attribute(
    "DateTimeAttributeMetadata",
    &[
        ("Format", Given),
        ("DateTimeBehavior", Given),
        (
            "CanChangeDateTimeBehavior",
            Managed(false, "canchangedatetimebehavior"),
        ),
        ("ImeMode", Text("Auto")),
        ("SourceTypeMask", Zero),
    ],
    &[],
);
pub(in crate::metadata) static PICKLIST: Type =
    attribute("PicklistAttributeMetadata", PICKED, CHOICES);
pub(in crate::metadata) static MULTI_SELECT: Type =
    attribute("MultiSelectPicklistAttributeMetadata", PICKED, CHOICES);
const PICKED: &[(&str, Plain)] = &[
    ("DefaultFormValue", Given),
    ("ParentPicklistLogicalName", Null),
    ("ChildPicklistLogicalNames", EmptyList),
    ("SourceTypeMask", Zero),
];
pub(in crate::metadata) static STATE: Type = attribute(
    "StateAttributeMetadata",
    &[("DefaultFormValue", Null)],
    CHOICES,
);
pub(in crate::metadata) static STATUS: Type = attribute(
    "StatusAttributeMetadata",
    &[("DefaultFormValue", Null)],
    CHOICES,
);
pub(in crate::metadata) static BOOLEAN: Type = attribute(
    "BooleanAttributeMetadata",
    &[
        ("DefaultValue", Given),
        ("FormulaDefinition", Null),
        ("SourceTypeMask", Zero),
    ],
    CHOICES,
);
pub(in crate::metadata) static LOOKUP: Type = attribute(
    "LookupAttributeMetadata",
    &[("Targets", Given), ("Format", Text("None"))],
    &[],
);
pub(in crate::metadata) static IMAGE: Type = attribute(
    "ImageAttributeMetadata",
    &[
        ("MaxSizeInKB", Null),
        ("MaxHeight", Null),
        ("MaxWidth", Null),
        ("CanStoreFullImage", No),
        ("IsPrimaryImage", No),
    ],
    &[],
);
pub(in crate::metadata) static FILE: Type =
    attribute("FileAttributeMetadata", &[("MaxSizeInKB", Given)], &[]);
pub(in crate::metadata) static UNIQUE_IDENTIFIER: Type =
    attribute("UniqueIdentifierAttributeMetadata", &[], &[]);
pub(in crate::metadata) static ENTITY_NAME: Type = attribute(
    "EntityNameAttributeMetadata",
    &[("IsEntityReferenceStored", No)],
    &[],
);
pub(in crate::metadata) static MANAGED_PROPERTY: Type =
    attribute("ManagedPropertyAttributeMetadata", &[], &[]);
