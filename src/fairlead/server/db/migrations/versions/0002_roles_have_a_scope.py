"""roles have a scope"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every account keeps its role, now as a rule for the whole system."""
    op.create_table(
        "access_rule",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("scope_type", sa.String(length=20), nullable=False),
        sa.Column("scope_id", sa.String(length=36), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("user_id", "role", "scope_type", "scope_id"),
    )
    op.execute(
        "INSERT INTO access_rule (id, user_id, role, scope_type, scope_id, created, created_by) "
        "SELECT id, id, role, 'system', '', created, 'fairlead' FROM user_account"
    )
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.drop_column("role")
