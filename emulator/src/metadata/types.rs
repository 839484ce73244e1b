//! The types of definitions: which properties and links each has, and what never varies.

mod columns;

pub(super) use columns::*;
use serde_json::{Value, json};

use super::parts::{managed, no_label};

/// A type of definition.
#[derive(Debug)]
pub(super) struct Type {
    /// `StringAttributeMetadata`
    pub(super) name: &'static str,
    /// The type it is derived from.
    pub(super) base: Option<&'static Type>,
    /// What it has beyond its base.
    pub(super) properties: &'static [(&'static str, Plain)],
    /// What `$expand` and paths can follow.
    pub(super) links: &'static [(&'static str, Link)],
}

/// Where the value of a property comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Plain {
    /// From the schema.
    Given,
    Null,
    Yes,
    No,
    Zero,
    Text(&'static str),
    EmptyList,
    EmptyLabel,
    Managed(bool, &'static str),
}

/// A property that leads to other definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Attributes,
    Keys,
    ManyToOne,
    OneToMany,
    ManyToMany,
    OptionSet,
    GlobalOptionSet,
}

use Plain::{EmptyLabel, EmptyList, Given, Managed, No, Null, Text, Yes, Zero};

impl Type {
    /// A property of the type or its bases.
    pub(super) fn property(&self, name: &str) -> Option<Plain> {
        let own = self
            .properties
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, plain)| *plain);
        own.or_else(|| self.base.and_then(|base| base.property(name)))
    }

    /// The names of all properties.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names = self.base.map_or_else(Vec::new, Type::names);
        names.extend(self.properties.iter().map(|(name, _)| *name));
        names
    }

    pub(super) fn link(&self, name: &str) -> Option<Link> {
        self.links
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, link)| *link)
    }

    /// Whether it is `other` or derived from it.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name || self.base.is_some_and(|base| base.is(other))
    }

    /// The type that a cast segment (`Microsoft.Dynamics.CRM.StringAttributeMetadata`) names.
    pub(super) fn of_cast(segment: &str) -> Option<&'static Self> {
        let name = segment.strip_prefix("Microsoft.Dynamics.CRM.")?;
        CASTS.iter().copied().find(|cast| cast.name == name)
    }
}

impl Plain {
    /// The value, unless it is given by the schema.
    pub(super) fn value(self) -> Option<Value> {
        match self {
            Given => None,
            Null => Some(Value::Null),
            Yes => Some(json!(true)),
            No => Some(json!(false)),
            Zero => Some(json!(0)),
            Text(text) => Some(json!(text)),
            EmptyList => Some(json!([])),
            EmptyLabel => Some(no_label()),
            Managed(value, property) => Some(managed(value, property)),
        }
    }
}

/// What a path may be cast to. The common parent of choices is not among them.
pub(super) const CASTS: [&Type; 24] = [
    &STRING,
    &MEMO,
    &INTEGER,
    &BIG_INT,
    &DECIMAL,
    &DOUBLE,
    &MONEY,
    &DATE_TIME,
    &PICKLIST,
    &MULTI_SELECT,
    &STATE,
    &STATUS,
    &BOOLEAN,
    &LOOKUP,
    &IMAGE,
    &FILE,
    &UNIQUE_IDENTIFIER,
    &ENTITY_NAME,
    &MANAGED_PROPERTY,
    &ATTRIBUTE,
    &OPTION_SET,
    &BOOLEAN_OPTION_SET,
    &ONE_TO_MANY,
    &MANY_TO_MANY,
];

pub(super) static ENTITY: Type = Type {
    name: "EntityMetadata",
    base: None,
    properties: &[
        ("MetadataId", Given),
        ("LogicalName", Given),
        ("SchemaName", Given),
        ("EntitySetName", Given),
        ("LogicalCollectionName", Given),
        ("CollectionSchemaName", Given),
        ("DisplayName", Given),
        ("DisplayCollectionName", Given),
        ("PrimaryIdAttribute", Given),
        ("PrimaryNameAttribute", Given),
        ("ObjectTypeCode", Given),
        ("OwnershipType", Given),
        ("TableType", Given),
        ("IsActivity", Given),
        ("IsCustomEntity", Given),
        ("IsManaged", Given),
        ("IsStateModelAware", Given),
        ("Description", EmptyLabel),
        ("HasChanged", Null),
        ("ActivityTypeMask", Zero),
        ("AutoRouteToOwnerQueue", No),
        ("CanTriggerWorkflow", Yes),
        ("ChangeTrackingEnabled", Given),
        ("DataProviderId", Null),
        ("DataSourceId", Null),
        ("EnforceStateTransitions", No),
        ("ExternalCollectionName", Null),
        ("ExternalName", Null),
        ("HasActivities", No),
        ("HasFeedback", No),
        ("HasNotes", No),
        ("IntroducedVersion", Text("5.0.0.0")),
        ("IsActivityParty", No),
        ("IsAvailableOffline", Yes),
        ("IsBPFEntity", No),
        ("IsBusinessProcessEnabled", No),
        ("IsChildEntity", No),
        ("IsDocumentManagementEnabled", No),
        ("IsEnabledForCharts", Yes),
        ("IsImportable", Yes),
        ("IsIntersect", Given),
        ("IsLogicalEntity", No),
        ("IsOptimisticConcurrencyEnabled", Given),
        ("IsPrivate", No),
        ("IsQuickCreateEnabled", No),
        ("IsSLAEnabled", No),
        ("IsSolutionAware", No),
        ("IsValidForAdvancedFind", Yes),
        ("PrimaryImageAttribute", Null),
        ("Privileges", Given),
        ("RecurrenceBaseEntityLogicalName", Null),
        ("Settings", EmptyList),
        ("CanBeInManyToMany", Managed(true, "canbeinmanytomany")),
        (
            "CanBePrimaryEntityInRelationship",
            Managed(true, "canbeprimaryentityinrelationship"),
        ),
        (
            "CanBeRelatedEntityInRelationship",
            Managed(true, "canberelatedentityinrelationship"),
        ),
        (
            "CanChangeTrackingBeEnabled",
            Managed(true, "canchangetrackingbeenabled"),
        ),
        ("CanCreateAttributes", Managed(true, "cancreateattributes")),
        ("CanCreateCharts", Managed(true, "cancreatecharts")),
        ("CanCreateForms", Managed(true, "cancreateforms")),
        ("CanCreateViews", Managed(true, "cancreateviews")),
        (
            "CanModifyAdditionalSettings",
            Managed(true, "canmodifyadditionalsettings"),
        ),
        ("IsAuditEnabled", Managed(false, "canmodifyauditsettings")),
        (
            "IsConnectionsEnabled",
            Managed(true, "canmodifyconnectionsettings"),
        ),
        ("IsCustomizable", Managed(true, "iscustomizable")),
        (
            "IsDuplicateDetectionEnabled",
            Managed(false, "canmodifyduplicatedetectionsettings"),
        ),
        (
            "IsMailMergeEnabled",
            Managed(true, "canmodifymailmergesettings"),
        ),
        ("IsMappable", Managed(true, "ismappable")),
        ("IsRenameable", Managed(true, "isrenameable")),
        ("IsValidForQueue", Managed(false, "canmodifyqueuesettings")),
    ],
    links: &[
        ("Attributes", Link::Attributes),
        ("Keys", Link::Keys),
        ("ManyToOneRelationships", Link::ManyToOne),
        ("OneToManyRelationships", Link::OneToMany),
        ("ManyToManyRelationships", Link::ManyToMany),
    ],
};

pub(super) static KEY: Type = Type {
    name: "EntityKeyMetadata",
    base: None,
    properties: &[
        ("MetadataId", Given),
        ("LogicalName", Given),
        ("SchemaName", Given),
        ("DisplayName", Given),
        ("EntityLogicalName", Given),
        ("KeyAttributes", Given),
        ("EntityKeyIndexStatus", Given),
        ("AsyncJob", Null),
        ("HasChanged", Null),
        ("IntroducedVersion", Text("1.0")),
        ("IsManaged", No),
        ("IsSecondaryKey", No),
        ("IsSynchronous", No),
        ("IsCustomizable", Managed(true, "iscustomizable")),
    ],
    links: &[],
};

/// What the two kinds of relationships share.
pub(super) static RELATIONSHIP: Type = Type {
    name: "RelationshipMetadataBase",
    base: None,
    properties: &[
        ("MetadataId", Given),
        ("SchemaName", Given),
        ("IsCustomRelationship", Given),
        ("HasChanged", Null),
        ("IntroducedVersion", Text("5.0.0.0")),
        ("IsManaged", Yes),
        ("IsValidForAdvancedFind", Yes),
        ("RelationshipType", Given),
        ("SecurityTypes", Text("Append")),
        ("IsCustomizable", Managed(true, "iscustomizable")),
    ],
    links: &[],
};
pub(super) static ONE_TO_MANY: Type = Type {
    name: "OneToManyRelationshipMetadata",
    base: Some(&RELATIONSHIP),
    properties: &[
        ("ReferencedAttribute", Given),
        ("ReferencedEntity", Given),
        ("ReferencingAttribute", Given),
        ("ReferencingEntity", Given),
        ("ReferencedEntityNavigationPropertyName", Given),
        ("ReferencingEntityNavigationPropertyName", Given),
        ("CascadeConfiguration", Given),
        ("IsHierarchical", No),
        ("RelationshipAttributes", EmptyList),
        ("RelationshipBehavior", Zero),
    ],
    links: &[],
};
pub(super) static MANY_TO_MANY: Type = Type {
    name: "ManyToManyRelationshipMetadata",
    base: Some(&RELATIONSHIP),
    properties: &[
        ("Entity1LogicalName", Given),
        ("Entity1IntersectAttribute", Given),
        ("Entity1NavigationPropertyName", Given),
        ("Entity2LogicalName", Given),
        ("Entity2IntersectAttribute", Given),
        ("Entity2NavigationPropertyName", Given),
        ("IntersectEntityName", Given),
    ],
    links: &[],
};

pub(super) static OPTION_SET_BASE: Type = Type {
    name: "OptionSetMetadataBase",
    base: None,
    properties: &[
        ("MetadataId", Given),
        ("Name", Given),
        ("DisplayName", Given),
        ("IsGlobal", Given),
        ("OptionSetType", Given),
        ("Description", EmptyLabel),
        ("ExternalTypeName", Null),
        ("HasChanged", Null),
        ("IntroducedVersion", Text("5.0.0.0")),
        ("IsCustomOptionSet", No),
        ("IsManaged", Yes),
        ("IsCustomizable", Managed(true, "iscustomizable")),
    ],
    links: &[],
};
pub(super) static OPTION_SET: Type = Type {
    name: "OptionSetMetadata",
    base: Some(&OPTION_SET_BASE),
    properties: &[("Options", Given), ("ParentOptionSetName", Null)],
    links: &[],
};
pub(super) static BOOLEAN_OPTION_SET: Type = Type {
    name: "BooleanOptionSetMetadata",
    base: Some(&OPTION_SET_BASE),
    properties: &[("TrueOption", Given), ("FalseOption", Given)],
    links: &[],
};
